/** The part of Markdown that descriptions use: headings, paragraphs, lists, tables, fenced code, `code`, links and **strong**. */

import { build } from './docs-build.js';
import { code, samples } from './docs-code.js';

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)\s]+)\)|<(https?:[^>\s]+)>/g;
const LABELS = { sh: 'curl', bash: 'curl', js: 'JavaScript', python: 'Python' };

/** The text of a line, with its code, links and strong words. */
export function inline(text) {
  const pieces = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, literal, strong, label, target, address] = match;
    pieces.push(text.slice(at, match.index));
    if (literal) pieces.push(build('code', {}, literal));
    else if (strong) pieces.push(build('strong', {}, strong));
    else pieces.push(build('a', { href: target ?? address }, label ?? address));
    at = match.index + whole.length;
  }
  return [...pieces, text.slice(at)];
}

/** A text without any markup, for one line. */
export const plain = (text) => text.replace(INLINE, (_, literal, strong, label, target, address) => literal ?? strong ?? label ?? address);

const slug = (text) => plain(text).toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');

/** The blocks of a text: `{kind, …}`. */
function read(text) {
  const found = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at];
    const fence = /^```(\w*)/.exec(line);
    const heading = /^(#{1,4}) (.*)/.exec(line);
    const last = found.at(-1);
    if (fence) {
      const end = lines.indexOf('```', at + 1);
      found.push({ kind: 'code', language: fence[1], source: lines.slice(at + 1, end).join('\n') });
      at = end;
    } else if (heading) found.push({ kind: 'heading', level: heading[1].length, text: heading[2] });
    else if (/^[-*] /.test(line)) {
      if (last?.kind === 'list' && last.open) last.items.push(line.slice(2));
      else found.push({ kind: 'list', items: [line.slice(2)], open: true });
    } else if (line.startsWith('|')) {
      const cells = line.slice(1, line.lastIndexOf('|')).split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
      if (last?.kind === 'table' && last.open) last.rows.push(cells);
      else found.push({ kind: 'table', rows: [cells], open: true });
    } else if (line.trim() === '') {
      if (last) last.open = false;
    } else if (last?.open && last.kind === 'list') last.items.push(`${last.items.pop()} ${line.trim()}`);
    else if (last?.open && last.kind === 'text') last.text += ` ${line.trim()}`;
    else found.push({ kind: 'text', text: line.trim(), open: true });
  }
  return found;
}

function table([head, , ...rows]) {
  const row = (tag, cells) => build('tr', {}, cells.map((cell) => build(tag, tag === 'th' ? { scope: 'col' } : {}, inline(cell))));
  return build('div.scroll', { tabindex: 0, role: 'group', 'aria-label': 'Table' }, build('table', {}, build('thead', {}, row('th', head)), build('tbody', {}, rows.map((cells) => row('td', cells)))));
}

/** The elements of a text. `level` is that of its first headings; blocks of code that follow each other are one with tabs. */
export function markdown(text, level = 2) {
  const elements = [];
  const all = read(text);
  const first = Math.min(...all.filter(({ kind }) => kind === 'heading').map((block) => block.level));
  for (let at = 0; at < all.length; at++) {
    const block = all[at];
    if (block.kind === 'heading') {
      elements.push(build(`h${Math.min(6, level + block.level - first)}`, { id: slug(block.text) }, inline(block.text)));
    } else if (block.kind === 'list') elements.push(build('ul', {}, block.items.map((item) => build('li', {}, inline(item)))));
    else if (block.kind === 'table') elements.push(table(block.rows));
    else if (block.kind === 'text') elements.push(build('p', {}, inline(block.text)));
    else {
      const group = [block];
      while (all[at + 1]?.kind === 'code') group.push(all[(at += 1)]);
      const labelled = group.map(({ language, source }) => ({ label: LABELS[language] ?? language, source }));
      const title = elements.findLast((element) => /^H\d$/.test(element.tagName))?.textContent ?? 'Example';
      const differ = new Set(labelled.map(({ label }) => label)).size === labelled.length && labelled.length > 1;
      elements.push(...(differ ? [samples(labelled, title)] : labelled.map(({ label, source }) => code(source, label, title))));
    }
  }
  return elements;
}
