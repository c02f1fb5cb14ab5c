/**
 * The queue of uploads, without any DOM: links in batches, a few files at a time, and each file's state until the
 * server says `done` or `error`.
 */

import { api } from './api.js';
import { backoffMs, withRetry } from '../dist/shared.js';
import { bytes, plural, uuid } from './format.js';
import { sendFile } from './send.js';

/** Photos that may be unfinished at one time, the most the server gives links for in one call. */
export const UNFINISHED_MAX = 500;
/** Links asked for in one call. They live 15 minutes, so a long queue asks again as it gets there. */
const LINKS_PER_CALL = 50;
const PARALLEL = 3;
/** A link with less than this left is asked for anew instead of being started on. */
const LINK_MARGIN_MS = 60_000;
/** After a request that the server could not answer, the queue rests for this long at most. */
const REST_MAX_MS = 30_000;

/** Failures of a photo that sending the same file again can mend. The other codes speak of the file itself. */
const MENDABLE = new Set(['never_arrived', 'not_as_stated', 'processing_failed', 'worker_died']);

/** The order of states; a later one is never replaced by an earlier one that arrives late. */
const RANK = { waiting: 0, init: 1, uploaded: 2, processing: 3, done: 4, error: 4 };

/** True when `next` is news for an upload in state `current`. */
export const advances = (current, next) => next in RANK && RANK[next] > RANK[current];

/** Why a file cannot be taken, in a sentence, before any byte moves; null when it can. `limits`: `GET /limits`. */
export function refusal(file, limits) {
  if (file.size === 0) return 'The file is empty (0 bytes).';
  if (limits.max_file_bytes && file.size > limits.max_file_bytes) {
    return `The file has ${bytes(file.size)}; at most ${bytes(limits.max_file_bytes)} are taken.`;
  }
  // Browsers and systems name image types in many ways; only the bytes decide, at the server.
  const mayBeImage = !file.type || file.type.startsWith('image/') || file.type === 'application/octet-stream';
  if (!mayBeImage) return `Files of type ${file.type} are not taken.`;
  return null;
}

/**
 * Events: `added` and `changed`, both with the item as detail. An item is `{id, name, size, sent, state, problem,
 * imageId, hopeless}`; `problem` is the sentence to show, `hopeless` says that another try cannot help.
 *
 * While the server is away the queue keeps its files and tries again, with a growing pause and at [`resume`].
 */
export class Uploads extends EventTarget {
  #items = new Map();
  #byImage = new Map();
  #active = 0;
  #asking = null;
  #stops = new Map();
  #rest = null;
  #restMs;
  #rests = 0;

  /** `restMs(count)`: how long the queue rests after the `count`-th failure in a row. */
  constructor({ limits = {}, send = sendFile, client = api, restMs } = {}) {
    super();
    this.limits = limits;
    this.send = send;
    this.client = client;
    this.#restMs = restMs ?? ((count) => backoffMs(count, { maxMs: REST_MAX_MS }));
  }

  get items() {
    return [...this.#items.values()];
  }

  /** Uploads whose bytes are still here or whose end is not known yet. */
  get unfinished() {
    return this.items.filter((item) => RANK[item.state] < RANK.done);
  }

  /** Takes files for a gallery; gives back how many were left out because the queue is full. */
  add(files, { projectId, galleryId }) {
    const room = Math.max(0, UNFINISHED_MAX - this.unfinished.length);
    for (const file of files.slice(0, room)) {
      const item = { id: uuid(), file, name: file.name, size: file.size, projectId, galleryId };
      Object.assign(item, { sent: 0, state: 'waiting', problem: null, imageId: null, link: null });
      const problem = refusal(file, this.limits);
      if (problem) Object.assign(item, { state: 'error', problem, hopeless: true });
      this.#items.set(item.id, item);
      this.#emit('added', item);
    }
    this.#pump();
    return Math.max(0, files.length - room);
  }

  /** Sends a failed file again, as a new image. */
  retry(item) {
    if (item.state !== 'error' || item.hopeless) return;
    this.#byImage.delete(item.imageId);
    Object.assign(item, { sent: 0, state: 'waiting', problem: null, imageId: null, link: null });
    this.#emit('changed', item);
    this.#pump();
  }

  /** Stops all that is not wholly sent; what was sent goes on at the server. */
  stop() {
    for (const item of this.unfinished) {
      if (item.state === 'waiting' || item.state === 'init') this.#fail(item, 'Stopped.');
    }
    for (const controller of this.#stops.values()) controller.abort(new Error('Stopped.'));
  }

  /** Forgets the items in this state, `done` or `error`; without one, at sign-out, everything. */
  clear(state) {
    if (!state) this.stop();
    for (const item of this.items) {
      if (state && item.state !== state) continue;
      this.#items.delete(item.id);
      this.#byImage.delete(item.imageId);
    }
  }

  /** Takes a message of the project's stream. Why a photo failed, and that it was deleted, the image itself tells. */
  news(message) {
    const item = message.type === 'image.state' && this.#byImage.get(message.image_id);
    if (!item) return;
    if (message.state === 'error' || !message.state) this.#read(item);
    else this.#advance(item, message.state);
  }

  /** Reads the state of what is under way at the server, at most `max` files, when news of it may not come. */
  async reconcile({ only = () => true, max = UNFINISHED_MAX } = {}) {
    const under = this.unfinished.filter((item) => RANK[item.state] >= RANK.uploaded && only(item));
    for (const item of under.slice(0, max)) await this.#read(item);
  }

  async #read(item) {
    try {
      const image = await withRetry(() => this.client.image(item.imageId));
      this.#advance(item, image.state, image);
    } catch (error) {
      if (error.status === 404) this.#fail(item, 'The image has been deleted.', { hopeless: true });
    }
  }

  #advance(item, state, image) {
    if (!advances(item.state, state)) return;
    if (state === 'error') return this.#fail(item, image.error, { hopeless: !MENDABLE.has(image.error_code) });
    item.state = state;
    if (state === 'done') item.file = null;
    this.#emit('changed', item);
  }

  #fail(item, problem, { hopeless = false } = {}) {
    Object.assign(item, { state: 'error', problem, hopeless });
    this.#emit('changed', item);
  }

  /** Ends a rest of the queue: the server answers again, or may. */
  resume() {
    clearTimeout(this.#rest);
    this.#rest = null;
    this.#pump();
  }

  /** Puts a file back in the queue, which rests until the server may answer again. */
  #postpone(item, error) {
    Object.assign(item, { sent: 0, state: 'waiting', problem: error.words });
    this.#emit('changed', item);
    this.#rest ??= setTimeout(() => this.resume(), Math.max(this.#restMs(this.#rests++), error.retryAfterMs ?? 0));
  }

  #pump() {
    while (this.#active < PARALLEL && this.#rest === null) {
      const item = this.items.find((each) => each.state === 'waiting' && !this.#stops.has(each.id));
      if (!item) return;
      this.#active++;
      this.#upload(item).finally(() => {
        this.#active--;
        this.#pump();
      });
    }
  }

  async #upload(item) {
    const controller = new AbortController();
    const { signal } = controller;
    this.#stops.set(item.id, controller);
    try {
      await this.#link(item, signal);
      if (item.state !== 'waiting') return;
      Object.assign(item, { state: 'init', problem: null });
      this.#emit('changed', item);
      await this.send(item.file, item.link, { signal, onProgress: (sent) => this.#sent(item, sent) });
      this.#sent(item, item.size);
      await this.client.completeImage(item.imageId);
      this.#rests = 0;
      this.#advance(item, 'uploaded');
    } catch (error) {
      // The sweep may have found the file, and the news of it come, before a lost call has failed.
      if (!advances(item.state, 'uploaded')) return;
      if (error.temporary && !signal.aborted) this.#postpone(item, error);
      else this.#fail(item, error.words ?? error.message);
    } finally {
      this.#stops.delete(item.id);
    }
  }

  #sent(item, sent) {
    item.sent = Math.min(sent, item.size);
    this.#emit('changed', item);
  }

  /** Waits until the item has a link or a verdict against it. One call for links is under way at a time. */
  async #link(item, signal) {
    const fresh = () => item.link && Date.parse(item.link.expires_at) - Date.now() > LINK_MARGIN_MS;
    while (item.state === 'waiting' && !fresh()) {
      signal.throwIfAborted();
      this.#asking ??= this.#askLinks(item).finally(() => (this.#asking = null));
      await this.#asking;
    }
  }

  async #askLinks(first) {
    const following = this.items.filter(
      (item) => item.state === 'waiting' && !item.link && item !== first && item.projectId === first.projectId
        && item.galleryId === first.galleryId,
    );
    const batch = [first, ...following].slice(0, LINKS_PER_CALL);
    const files = batch.map(({ file }) => ({
      filename: file.name,
      size: file.size,
      ...(file.type && { content_type: file.type }),
    }));
    const body = { project_id: first.projectId, gallery_id: first.galleryId, files };
    const key = uuid();
    const answer = await withRetry(() => this.client.imageLinks(body, key), { attempts: 2 });
    answer.images.forEach((verdict, index) => this.#verdict(batch[index], verdict));
  }

  #verdict(item, verdict) {
    if (item.state !== 'waiting') return;
    if (!verdict.upload_link) {
      this.#fail(item, verdictWords(verdict), { hopeless: verdict.verdict !== 'over_quota' });
      return;
    }
    this.#byImage.delete(item.imageId);
    item.link = verdict;
    item.imageId = verdict.image_id;
    this.#byImage.set(item.imageId, item);
  }

  #emit(type, item) {
    this.dispatchEvent(new CustomEvent(type, { detail: item }));
  }
}

/** The reason a batch gives for not taking a file, as one text. */
export function verdictWords(verdict) {
  const fields = Object.values(verdict.errors ?? {}).flat();
  return [verdict.detail, ...fields].filter(Boolean).join(' ') || 'The server refused this file.';
}

/** The line above the rows: `3 of 12 done, 2 failed`. */
export function summary(items) {
  const count = (state) => items.filter((item) => item.state === state).length;
  const failed = count('error');
  const text = `${count('done')} of ${plural(items.length, 'photo')} done`;
  return failed ? `${text}, ${failed} failed` : text;
}
