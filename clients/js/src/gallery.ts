/** `<eyeline-gallery>`: a gallery in the order that its visitors give it. Importing this defines the element. */

import { make, webAddress } from './dom.js';
import { Grid } from './grid.js';
import { createTracker, type Consent, type Tracker } from './index.js';
import { Lightbox } from './lightbox.js';
import { broughtPage, LIMIT_MAX, Pages, readPage, type Item } from './pages.js';
import { sleep, withRetry } from './shared/backoff.js';
import { adoptStyle } from './style.js';
import { wordsFor, type Words } from './words.js';

export type { Item } from './pages.js';

/** The detail of `eyeline-click`. If the event is cancelled, no link is followed and no lightbox opens. */
export interface ClickDetail {
  image_id: string;
  external_id: string | null;
  link: string | null;
  /** From 1. */
  rank: number | null;
}

declare global {
  interface HTMLElementTagNameMap {
    'eyeline-gallery': EyelineGallery;
  }
  interface HTMLElementEventMap {
    'eyeline-click': CustomEvent<ClickDetail>;
  }
}

const TAG = 'eyeline-gallery';
const ATTRIBUTES = ['gallery', 'application', 'host', 'order', 'page-size', 'lang'];
/** The distance from the end at which the next page is read. */
const AHEAD_PX = 1500;
/** Items that are kept in memory. After them no more pages are read. */
const ITEMS_MAX = 20_000;
/** The waits before the order is read again after a click. The server applies an event within a second. */
const AGAIN_MS = [400, 1100, 2500];
const READ = { attempts: 4, baseMs: 1000, maxMs: 10_000 };

// A server that renders pages may import this too.
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

export class EyelineGallery extends Base {
  static observedAttributes = ATTRIBUTES;
  #shadow: ShadowRoot | null = null;
  #show: Show | null = null;
  #queued = false;

  connectedCallback(): void {
    this.#shadow ??= this.#ownShadow();
    this.#restart();
  }

  disconnectedCallback(): void {
    // A move within the page disconnects the element and connects it again.
    this.#restart();
  }

  attributeChangedCallback(_name: string, before: string | null, after: string | null): void {
    if (before !== after) this.#restart();
  }

  /** Reads the top of the order again; the tiles glide to their new places. */
  async refresh(): Promise<void> {
    await this.#show?.again();
  }

  /** The shadow root that the server rendered, or a new one that shows the element's own content until pictures come. */
  #ownShadow(): ShadowRoot {
    const known = this.attachInternals?.().shadowRoot;
    const shadow = known ?? this.attachShadow({ mode: 'open' });
    if (!known) shadow.append(make('slot', ''));
    adoptStyle(shadow);
    return shadow;
  }

  #restart(): void {
    if (this.#queued || !this.#shadow) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      this.#show?.end();
      this.#show = null;
      const gallery = this.getAttribute('gallery');
      if (!this.isConnected) return;
      const tracker = this.#tracker();
      if (gallery && tracker) this.#show = new Show(this, this.#shadow!, tracker, gallery);
      else console.warn(`eyeline: <${TAG}> needs the attributes gallery and application.`);
    });
  }

  /** The page's tracker where it is of this application, so that the visitor's consent holds here too. */
  #tracker(): Tracker | undefined {
    const [application, host, consent] = ['application', 'host', 'consent'].map((name) => this.getAttribute(name));
    const { eyeline } = globalThis as { eyeline?: Tracker };
    if (!host && (!application || application === eyeline?.application)) return eyeline;
    if (!application) return undefined;
    return createTracker({ application, ...(host ? { host } : {}), ...(consent ? { consent: consent as Consent } : {}) });
  }
}

/** One shown gallery, from its first page until the element is removed or changed. */
class Show {
  #host: HTMLElement;
  #shadow: ShadowRoot;
  #tracker: Tracker;
  #words: Words;
  #pages: Pages;
  #grid: Grid;
  #lightbox: Lightbox;
  #abort = new AbortController();
  #end = make('div', 'end');
  #status = make('div', 'status', { role: 'status' });
  #ahead = new IntersectionObserver(([entry]) => entry!.isIntersecting && this.#more(), {
    rootMargin: `0px 0px ${AHEAD_PX}px`,
  });
  #isLoading = false;
  #isStale = false;
  #clicks = 0;

  constructor(host: HTMLElement, shadow: ShadowRoot, tracker: Tracker, gallery: string) {
    this.#host = host;
    this.#shadow = shadow;
    this.#tracker = tracker;
    this.#words = wordsFor(host.closest<HTMLElement>('[lang]')?.lang || navigator.language);
    const url = `${tracker.host}/api/v1/galleries/${encodeURIComponent(gallery)}/images`;
    const order = host.getAttribute('order');
    const limit = Math.min(LIMIT_MAX, Number(host.getAttribute('page-size')) || 0) || undefined;
    const { signal } = this.#abort;
    this.#pages = new Pages(
      ({ fresh, ...page }) => {
        const { application, session_id } = tracker;
        const cache = fresh ? 'no-cache' : 'default';
        return readPage(url, { application, session_id, order, ...page }, { signal, cache });
      },
      limit,
      // The server writes the gallery's own order and page size.
      order || limit ? null : broughtPage(host, gallery),
    );
    this.#grid = new Grid(this.#words, {
      watch: (tile, { image_id, place, position, order_id }) =>
        tracker.watch(tile, { gallery_id: gallery, image_id, place, position, order_id }),
      chosen: (event, item) => this.#chosen(event, item),
    });
    this.#lightbox = new Lightbox(
      this.#words,
      () => this.#more(),
      (item) => this.#closed(item),
    );
    addEventListener('online', () => this.#status.hasChildNodes() && this.#more(), { signal });
    this.#more();
  }

  end(): void {
    this.#abort.abort();
    this.#ahead.disconnect();
    this.#grid.end();
    this.#lightbox.element.remove();
  }

  async again(): Promise<boolean> {
    const isNew = await this.#pages.again();
    if (isNew && this.#lightbox.element.open) this.#isStale = true;
    else if (isNew) this.#grid.show(this.#pages.items);
    return isNew;
  }

  async #more(): Promise<void> {
    if (this.#isLoading || !this.#pages.hasMore || this.#pages.items.length >= ITEMS_MAX) return;
    this.#isLoading = true;
    this.#status.replaceChildren();
    const { signal } = this.#abort;
    try {
      await withRetry(() => this.#pages.more(), { ...READ, signal });
      if (!signal.aborted) this.#shown();
    } catch (error) {
      if (!signal.aborted) this.#failed(error as Error);
    } finally {
      this.#isLoading = false;
    }
  }

  #shown(): void {
    if (!this.#grid.element.isConnected) this.#begin();
    if (this.#lightbox.element.open) this.#isStale = true;
    else this.#grid.show(this.#pages.items);
    // An observer reports only changes, and the end may still be near.
    this.#ahead.disconnect();
    if (this.#pages.hasMore) this.#ahead.observe(this.#end);
  }

  /** Replaces the earlier content by the grid. The content below the element must not move up. */
  #begin(): void {
    const height = this.#host.offsetHeight;
    this.#shadow.replaceChildren(this.#grid.element, this.#end, this.#status, this.#lightbox.element);
    if (height) this.#grid.element.style.minHeight = `${height}px`;
  }

  #failed(error: Error & { status?: number }): void {
    if (error.status) this.#tracker.say('server', error.message);
    else this.#tracker.check();
    const retry = make('button', 'retry', { type: 'button' });
    retry.textContent = this.#words.retry;
    retry.addEventListener('click', () => this.#more());
    this.#status.replaceChildren(make('p', ''), retry);
    this.#status.firstElementChild!.textContent = this.#words.failed;
    // Without a first page the element keeps showing its own content, such as links.
    if (!this.#status.isConnected) this.#shadow.append(this.#status);
  }

  #chosen(event: MouseEvent, item: Item): void {
    const { image_id, external_id, position: rank } = item;
    const link = webAddress(item.link);
    const detail: ClickDetail = { image_id, external_id, link, rank };
    const wanted = this.#host.dispatchEvent(
      new CustomEvent('eyeline-click', { detail, bubbles: true, composed: true, cancelable: true }),
    );
    const isElsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
    if (!wanted) event.preventDefault();
    else if (!link && !isElsewhere) {
      event.preventDefault();
      this.#lightbox.open(this.#pages.items, this.#pages.items.findIndex((other) => other.image_id === image_id));
    }
    if (this.#tracker.session_id) this.#follow();
  }

  /** Reads the order again once the click counts. */
  async #follow(): Promise<void> {
    const { signal } = this.#abort;
    const click = ++this.#clicks;
    try {
      for (const waitMs of AGAIN_MS) {
        await sleep(waitMs, signal);
        // A later click reads the order for both.
        if (click !== this.#clicks) return;
        await this.#tracker.flush();
        if (this.#grid.isWithin(LIMIT_MAX)) await this.again();
      }
    } catch {
      // The order stays as it is until the next page or click.
    }
  }

  #closed(item: Item | undefined): void {
    if (this.#isStale) this.#grid.show(this.#pages.items);
    this.#isStale = false;
    if (item) this.#grid.focus(item.image_id);
  }
}

if (globalThis.customElements && !customElements.get(TAG)) customElements.define(TAG, EyelineGallery);
