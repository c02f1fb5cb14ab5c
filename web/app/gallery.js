/** A gallery's items as the server orders them: pages by cursor, and the top again when the order moves. */

import { api } from './api.js';
import { sessionId } from './tracker.js';

const PAGE = 48;
/** The most items one request gives, hence how much of the top follows the moving order. */
export const FOLLOWED_MAX = 100;

/** The items of `page` that `known` (a Set of image ids) does not have yet. */
export const unknownItems = (known, page) => page.items.filter((item) => !known.has(item.image_id));

/**
 * Events: `reset` (everything is new), `more` (detail: the added items), `reordered` (the same gallery, a newer
 * order), `problem` (detail: an error, or null once a request has worked).
 */
export class Gallery extends EventTarget {
  #galleryId;
  #order;
  #cursor = null;
  #abort = new AbortController();
  #turn = Promise.resolve();
  #queued = new Set();
  items = [];
  strategy = null;
  loaded = false;

  /** `order` is a strategy's name, or null for the gallery's own. */
  constructor(galleryId, order) {
    super();
    this.#galleryId = galleryId;
    this.#order = order;
  }

  get id() {
    return this.#galleryId;
  }

  get hasMore() {
    return this.#cursor !== null;
  }

  /** Reads the first page. */
  load() {
    return this.#inTurn('load', async () => {
      this.#begin(await this.#page(PAGE));
      this.loaded = true;
      this.#emit('reset');
    });
  }

  /** Reads the next page, going on in the order that the first one began. */
  more() {
    if (!this.hasMore) return Promise.resolve();
    return this.#inTurn('more', async () => {
      // A refresh in between may have found the end.
      if (!this.hasMore) return;
      const page = await this.#page(PAGE, this.#cursor);
      // A cursor that has outlived its order goes on in the newest one, which may repeat items.
      const added = unknownItems(new Set(this.items.map((item) => item.image_id)), page);
      this.#take(added, page);
      this.#emit('more', added);
    });
  }

  /** Reads the top again in the newest order; what lay beyond `FOLLOWED_MAX` is read again on scrolling. */
  refresh() {
    return this.#inTurn('refresh', async () => {
      const limit = Math.min(FOLLOWED_MAX, Math.max(PAGE, this.items.length));
      this.#begin(await this.#page(limit));
      this.#emit('reordered');
    });
  }

  #page(limit, cursor) {
    const asked = { limit, cursor, order: this.#order, sessionId: sessionId() };
    // A page may be a few seconds old in the browser's cache, and we ask because the order has just moved.
    return api.galleryPage(this.#galleryId, asked, { signal: this.#abort.signal, cache: 'no-cache' });
  }

  #begin(page) {
    this.items = [];
    this.strategy = page.strategy;
    this.#take(page.items, page);
  }

  #take(items, page) {
    this.#cursor = page.next_cursor;
    for (const item of items) this.items.push({ ...item, order_id: page.order_id });
  }

  /** One request at a time, in turn; a wish that is already waiting its turn is not queued twice. */
  #inTurn(name, work) {
    if (!this.#queued.has(name)) {
      this.#queued.add(name);
      this.#turn = this.#turn.then(() => this.#run(name, work));
    }
    return this.#turn;
  }

  async #run(name, work) {
    this.#queued.delete(name);
    if (this.#abort.signal.aborted) return;
    try {
      await work();
      this.#emit('problem', null);
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#emit('problem', error);
    }
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Stops listening for answers; the object is of no further use. */
  close() {
    this.#abort.abort();
  }
}

/**
 * Calls `work` soon after `poke`, however often it is poked, and at most once in `everyMs`. While `held` is true
 * nothing happens; `release` makes up for what was missed.
 */
export class Debounce {
  #work;
  #everyMs;
  #timer = null;
  #last = -Infinity;
  #wanted = false;
  held = false;

  constructor(work, everyMs) {
    this.#work = work;
    this.#everyMs = everyMs;
  }

  poke(now = performance.now()) {
    this.#wanted = true;
    if (this.held || this.#timer !== null) return;
    const waitMs = Math.max(50, this.#last + this.#everyMs - now);
    this.#timer = setTimeout(() => this.#run(), waitMs);
  }

  #run() {
    this.#timer = null;
    if (this.held || !this.#wanted) return;
    this.#wanted = false;
    this.#last = performance.now();
    this.#work();
  }

  release() {
    this.held = false;
    if (this.#wanted) this.poke();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#wanted = false;
  }
}
