/** The open gallery: its items in order, live, and what is selected. */

import { signal } from '@preact/signals';
import { api, type Schemas } from '../../api/index.js';
import { Debounce, OrderedItems, PAGE } from '../../lib/order.js';
import { onNews } from '../../state/live.js';

export type Item = Schemas['GalleryItem'];

/** A gallery is read again at most this often, however fast its order moves. */
const REFRESH_EVERY_MS = 1000;

/** Images whose deletion can still be undone. No list shows them. */
export const removed = signal<Set<string>>(new Set());

export const nameOf = (item: { name?: string | null; external_id?: string | null }): string | null => item.name || item.external_id || null;

/** The strategies that the page can show beside the gallery's own. */
export const ORDERS = ['newest', 'weight', 'interest'] as const;

export class OpenGallery {
  readonly items: OrderedItems<Item>;
  /** Changes whenever the items do. */
  readonly version = signal(0);
  readonly selected = signal<Set<string>>(new Set());
  /** True when a newer order waits, because the reader is too far down to follow it. */
  readonly hasNewer = signal(false);
  /** True if the reader is near the top, so that the moving order can be shown. */
  isNearTop = () => true;
  #refresh = new Debounce(() => this.#follow(), REFRESH_EVERY_MS);
  #stop: () => void;

  constructor(readonly id: string, order: string | null) {
    this.items = new OrderedItems<Item>(async (cursor, signal) => {
      const strategy = ORDERS.find((each) => each === order);
      const query = { limit: PAGE, cursor, order: strategy };
      // A page may be some seconds old in the browser's cache, and it is asked for because the order has just moved.
      return api.get('/galleries/{gallery_id}/images', { path: { gallery_id: id }, query, signal, cache: 'no-cache' });
    });
    this.items.addEventListener('changed', () => this.version.value++);
    this.#stop = onNews((message) => {
      if (message.type === 'gallery.order' && message.gallery_id === id) this.#refresh.poke();
    }, () => this.#refresh.poke());
    document.addEventListener('visibilitychange', this.#visibility);
    void this.items.refresh();
  }

  /** The items without those that are being deleted. A component that reads this is rendered when they change. */
  get shown(): Item[] {
    this.version.value;
    const gone = removed.value;
    return gone.size ? this.items.items.filter((item) => !gone.has(item.image_id)) : this.items.items;
  }

  /** While a photo is open the order stands still, so that the arrows walk through one order. */
  hold(isHeld: boolean): void {
    if (isHeld || document.hidden) this.#refresh.held = true;
    else this.#refresh.release();
  }

  showNewest(): void {
    scrollTo({ top: 0 });
    this.hasNewer.value = false;
    void this.items.refresh();
  }

  #visibility = () => this.hold(false);

  #follow(): void {
    if (!this.items.loaded || this.isNearTop()) void this.items.refresh();
    else this.hasNewer.value = true;
  }

  close(): void {
    this.#stop();
    this.#refresh.stop();
    this.items.close();
    document.removeEventListener('visibilitychange', this.#visibility);
  }
}
