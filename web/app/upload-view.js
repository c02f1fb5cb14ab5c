/** The rows of the upload queue: name, bytes sent, state, and a way out for what failed. */

import { $, fromTemplate, say } from './dom.js';
import { bytes, plural } from './format.js';
import { summary } from './upload.js';

/** The state in the API's own words, with how far the bytes are while they move. */
export function stateWords({ state, sent, size }) {
  return state === 'init' ? `init · ${bytes(sent)} of ${bytes(size)}` : state;
}

/** Connects the queue `uploads` with the panel that shows it. */
export function showUploads(panel, uploads) {
  const list = $('ul', panel);
  const rows = new Map();
  const dirty = new Set();
  let frame = null;

  const draw = () => {
    frame = null;
    for (const item of dirty) drawRow(rows.get(item.id), item);
    dirty.clear();
    const items = uploads.items;
    panel.hidden = items.length === 0;
    $('.summary', panel).textContent = summary(items);
    const busy = uploads.unfinished;
    $('.stop', panel).hidden = !busy.some((item) => item.state === 'waiting' || item.state === 'init');
    $('.retry-all', panel).hidden = !items.some((item) => item.state === 'error' && !item.hopeless);
    $('.clear', panel).hidden = !items.some((item) => item.state === 'done');
    $('.clear-failed', panel).hidden = !items.some((item) => item.state === 'error');
    if (busy.length === 0 && items.length) announce(panel, summary(items));
  };
  // Progress comes many times a second for every file; one drawing a frame is enough.
  const mark = ({ detail: item }) => {
    if (!rows.has(item.id)) return;
    dirty.add(item);
    frame ??= requestAnimationFrame(draw);
  };

  uploads.addEventListener('added', (event) => {
    const row = fromTemplate('upload-template');
    const item = event.detail;
    $('.name', row).textContent = item.name;
    $('.retry', row).addEventListener('click', () => uploads.retry(item));
    $('progress', row).setAttribute('aria-label', `Bytes of ${item.name} sent`);
    rows.set(item.id, row);
    list.append(row);
    mark(event);
  });
  uploads.addEventListener('changed', mark);

  const forgetGone = () => {
    const left = new Set(uploads.items.map((item) => item.id));
    for (const [id, row] of rows) {
      if (left.has(id)) continue;
      row.remove();
      rows.delete(id);
    }
    draw();
  };
  $('.stop', panel).addEventListener('click', () => uploads.stop());
  $('.retry-all', panel).addEventListener('click', () => uploads.items.forEach((item) => uploads.retry(item)));
  for (const [button, state] of [['.clear', 'done'], ['.clear-failed', 'error']]) {
    $(button, panel).addEventListener('click', () => {
      uploads.clear(state);
      forgetGone();
    });
  }
  return { forgetGone };
}

function drawRow(row, item) {
  row.dataset.state = item.state;
  const progress = $('progress', row);
  progress.max = Math.max(1, item.size);
  progress.value = item.sent;
  $('.state', row).textContent = stateWords(item);
  say($('.problem', row), item.problem);
  $('.retry', row).hidden = item.state !== 'error' || Boolean(item.hopeless);
  $('.retry', row).setAttribute('aria-label', `Retry ${item.name}`);
}

/** Tells screen readers once that the queue is through. */
function announce(panel, text) {
  const line = $('.announcement', panel);
  if (line.textContent !== text) line.textContent = text;
}

/** What to tell about files that did not fit in the queue; null when all did. */
export function leftOutWords(leftOut, max) {
  if (leftOut === 0) return null;
  return `${plural(leftOut, 'file')} left out: at most ${max} are taken at a time. Drop the rest again once these are `
    + 'done, or use `eyeline import` for a whole folder.';
}
