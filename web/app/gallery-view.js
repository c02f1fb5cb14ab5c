/** The grid: justified rows in rank order, placeholders with reserved space, tiles that glide when the order moves. */

import { $, fromTemplate, setSources } from './dom.js';
import { glide } from './flip.js';
import { plural, short } from './format.js';
import { justify, paint } from '../dist/shared.js';

/** Very long and very tall photos are cropped to these in the grid, never in the large view. */
const ASPECT_MIN = 0.5;
const ASPECT_MAX = 3;
/** Tiles that are surely in the first screen are not left to lazy loading. */
const EAGER = 6;
/** More tiles than this would make any browser slow; the API gives the rest. */
export const TILES_MAX = 3000;

/** Width by height for a tile, within bounds; square when the size is unknown. */
export function aspectOf({ width, height }) {
  if (!(width > 0 && height > 0)) return 1;
  return Math.min(ASPECT_MAX, Math.max(ASPECT_MIN, width / height));
}

/** True when two addresses lead to the same bytes: signed links differ in their query only. */
export function sameSource(a, b) {
  const path = (text) => (text ?? '').replace(/\?[^\s]*/g, '');
  return path(a) === path(b);
}

/** What a tile is called for people who cannot see it. */
export const nameOf = (item) => item.name || item.external_id || 'Photo without a name';

/** Where an item stands, as a view or click event says it. */
export const placeOf = (galleryId, item) => ({
  galleryId,
  imageId: item.image_id,
  position: item.position,
  orderId: item.order_id,
});

/** Events: `seen` (detail: the item, half on screen), `chosen` (detail: its index), `end` (the last tile is near). */
export class GalleryView extends EventTarget {
  #grid;
  #tiles = new Map();
  #onScreen;
  #nearEnd;
  #measures = { width: 0, row: 220, gap: 6 };

  constructor(grid, sentinel) {
    super();
    this.#grid = grid;
    this.#onScreen = new IntersectionObserver((entries) => this.#seen(entries), { threshold: 0.5 });
    this.#nearEnd = new IntersectionObserver(
      ([entry]) => entry.isIntersecting && this.dispatchEvent(new Event('end')),
      { rootMargin: '0px 0px 1500px 0px' },
    );
    this.sentinel = sentinel;
    new ResizeObserver(() => this.#measure()).observe(grid);
  }

  /** Shows these items in this order; tiles that stay glide to their new places. */
  show(items) {
    const shown = items.slice(0, TILES_MAX);
    const focused = document.activeElement;
    const first = this.#tiles.size === 0;
    const before = new Set(this.#tiles.keys());
    glide(() => this.#elements(), () => this.#place(shown));
    if (this.#grid.contains(focused)) focused.focus({ preventScroll: true });
    if (!first) this.#fadeIn(shown.filter((item) => !before.has(item.image_id)));
    this.watchEnd();
  }

  /** Adds items at the end, without touching what is there. */
  append(items) {
    for (const item of items.slice(0, Math.max(0, TILES_MAX - this.#tiles.size))) {
      this.#grid.append(this.#tile(item).element);
    }
    this.#arrange();
    this.watchEnd();
  }

  clear() {
    this.show([]);
  }

  /** Asks for `end` again if the end is still near: an observer speaks only when that changes. */
  watchEnd() {
    this.#nearEnd.disconnect();
    if (this.#tiles.size && this.#tiles.size < TILES_MAX) this.#nearEnd.observe(this.sentinel);
  }

  /** True while no tile beyond the first `count` is on screen, so that re-reading only those disturbs nobody. */
  withinFirst(count) {
    const tile = this.#grid.children[count];
    return !tile || tile.getBoundingClientRect().top > innerHeight;
  }

  /** Puts the keyboard back on the tile of an image. */
  focus(imageId) {
    const element = this.#tiles.get(imageId)?.element;
    $('a', element ?? document.createElement('i'))?.focus({ preventScroll: false });
  }

  #elements() {
    return new Map([...this.#tiles].map(([id, tile]) => [id, tile.element]));
  }

  #place(items) {
    let next = this.#grid.firstElementChild;
    const kept = new Set();
    for (const item of items) {
      kept.add(item.image_id);
      const { element } = this.#tile(item);
      if (element === next) next = next.nextElementSibling;
      else this.#grid.insertBefore(element, next);
    }
    for (const [id, { element }] of this.#tiles) {
      if (kept.has(id)) continue;
      this.#onScreen.unobserve(element);
      element.remove();
      this.#tiles.delete(id);
    }
    this.#arrange();
  }

  /** Reads the grid's measures, which the style sheet sets by the width of the screen. */
  #measure() {
    const { width } = this.#grid.getBoundingClientRect();
    // Tiles that come change the height only, which is their own doing.
    if (width === this.#measures.width) return;
    const style = getComputedStyle(this.#grid);
    this.#measures = {
      width,
      row: parseFloat(style.getPropertyValue('--row')),
      gap: parseFloat(style.columnGap),
    };
    this.#arrange();
  }

  /** Gives every tile its size. Nothing is asked of the browser here: each question would cost a layout. */
  #arrange() {
    if (!this.#measures.width) return;
    const tiles = [...this.#grid.children].map((element) => element.tile);
    const sizes = justify(tiles.map(({ item }) => aspectOf(item)), this.#measures);
    tiles.forEach((tile, index) => {
      const size = `${sizes[index].width}px ${sizes[index].height}px`;
      if (tile.size === size) return;
      tile.size = size;
      [tile.element.style.width, tile.element.style.height] = size.split(' ');
    });
  }

  /** The tile of an item, made or brought up to date. */
  #tile(item) {
    let tile = this.#tiles.get(item.image_id);
    if (!tile) {
      tile = { element: fromTemplate('tile-template'), item: {} };
      this.#tiles.set(item.image_id, tile);
      this.#connect(tile);
      this.#fill(tile, item, this.#tiles.size <= EAGER);
    } else {
      this.#fill(tile, item, true);
    }
    return tile;
  }

  #connect(tile) {
    const link = $('a', tile.element);
    const image = $('img', tile.element);
    link.addEventListener('click', (event) => {
      // With a modifier key the browser opens the address in a tab of its own; it is a click all the same.
      const elsewhere = event.metaKey || event.ctrlKey || event.shiftKey;
      if (!elsewhere) event.preventDefault();
      this.dispatchEvent(new CustomEvent('chosen', { detail: { item: tile.item, elsewhere } }));
    });
    image.addEventListener('load', () => tile.element.classList.add('loaded'));
    image.addEventListener('error', () => tile.element.classList.add('broken'));
    this.#onScreen.observe(tile.element);
    tile.element.tile = tile;
  }

  #fill(tile, item, eager) {
    const { element, item: old } = tile;
    $('a', element).href = item.url ?? item.preview ?? '';
    if (item.thumbhash !== old.thumbhash) paint($('canvas', element), item.thumbhash);
    this.#fillImage($('img', element), element, item, old, eager);
    this.#fillNumbers(element, item, old);
    $('.tile-name', element).textContent = nameOf(item);
    tile.item = item;
  }

  #fillImage(image, element, item, old, eager) {
    image.alt = nameOf(item);
    const broken = element.classList.contains('broken');
    // Signed links are ours and come with a srcset; elsewhere the query may well name the picture.
    const same = item.srcset ? sameSource(item.srcset, old.srcset) : item.url === old.url && !old.srcset;
    if (same && !broken) return;
    element.classList.remove('loaded', 'broken');
    image.loading = eager ? 'eager' : 'lazy';
    setSources(image, item, `${Math.round(this.#measures.row * aspectOf(item) * 1.2)}px`);
    image.src = (item.srcset ? item.preview : item.url) ?? item.preview;
  }

  /** Weight, views and clicks are there for keys only; a public visitor's tile has none. */
  #fillNumbers(element, item, old) {
    const box = $('.numbers', element);
    box.hidden = item.weight === undefined || item.weight === null;
    if (box.hidden) return;
    $('[data-number=weight]', box).textContent = short(item.weight);
    $('[data-number=views]', box).textContent = short(item.views);
    $('[data-number=clicks]', box).textContent = short(item.clicks);
    const views = plural(item.views, 'view');
    $('.spoken', box).textContent = `Weight ${item.weight}: ${views}, ${plural(item.clicks, 'click')}`;
    if (old.weight !== undefined && old.weight !== item.weight) this.#pulse(box);
  }

  #pulse(box) {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    box.animate([{ backgroundColor: 'var(--accent)' }, {}], { duration: 900 });
  }

  #fadeIn(items) {
    for (const item of items) {
      this.#tiles.get(item.image_id).element.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 400 });
    }
  }

  #seen(entries) {
    for (const { isIntersecting, intersectionRatio, target } of entries) {
      if (!isIntersecting || intersectionRatio < 0.5) continue;
      this.#onScreen.unobserve(target);
      this.dispatchEvent(new CustomEvent('seen', { detail: target.tile.item }));
    }
  }
}
