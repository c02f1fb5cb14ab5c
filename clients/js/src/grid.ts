/** The grid: justified rows in rank order, one tab stop, tiles that glide when the order moves. */

import { make, setOrRemove, webAddress } from './dom.js';
import type { Item } from './pages.js';
import { moves } from './shared/flip.js';
import { justify, type Box } from './shared/justify.js';
import { paint } from './shared/thumbhash.js';
import type { Words } from './words.js';

/** Very wide and very tall pictures are cropped to these in the grid, never in the lightbox. */
const ASPECT_MIN = 0.5;
const ASPECT_MAX = 3;
/** More tiles would make any browser slow. */
export const TILES_MAX = 2000;
const GLIDE = { duration: 450, easing: 'cubic-bezier(.2,.7,.2,1)' };

interface Tile {
  item: Item;
  box: Box;
  element: HTMLElement;
  link: HTMLAnchorElement;
  image: HTMLImageElement;
  /** The files that the image was told to load. */
  files: string;
  end: () => void;
}

export interface GridEvents {
  /** Begins to watch a tile, or notes its new place. Gives the function that ends it. */
  watch(element: Element, item: Item): () => void;
  chosen(event: MouseEvent, item: Item): void;
}

export const nameOf = (item: Item, words: Words): string => item.name || item.external_id || words.unnamed;

/** Width by height, within bounds; square when the size is unknown. */
function aspectOf({ width, height }: Item): number {
  return width && height ? Math.min(ASPECT_MAX, Math.max(ASPECT_MIN, width / height)) : 1;
}

export class Grid {
  readonly element: HTMLElement;
  #words: Words;
  #events: GridEvents;
  #tiles = new Map<string, Tile>();
  #order: Tile[] = [];
  #width = 0;
  #resize = new ResizeObserver(() => this.element.clientWidth !== this.#width && this.#arrange());

  constructor(words: Words, events: GridEvents) {
    this.#words = words;
    this.#events = events;
    this.element = make('div', 'grid', { role: 'list', 'aria-label': words.gallery });
    this.element.addEventListener('keydown', (event) => this.#key(event));
    this.element.addEventListener('focusin', ({ target }) => this.#stopAt(target as Element));
    this.#resize.observe(this.element);
  }

  get size(): number {
    return this.#order.length;
  }

  /** Shows these items in this order. */
  show(items: Item[]): void {
    const focused = this.#order.find(({ link }) => link.matches(':focus'));
    const before = new Map(this.#order.map(({ item, box }) => [item.image_id, box]));
    this.#order = items.slice(0, TILES_MAX).map((item) => this.#tile(item));
    const kept = new Set(this.#order);
    for (const [id, tile] of this.#tiles) {
      if (kept.has(tile)) continue;
      tile.end();
      tile.element.remove();
      this.#tiles.delete(id);
    }
    // The order of the elements is that of the keyboard and of screen readers.
    let next = this.element.firstElementChild;
    for (const { element } of this.#order) {
      if (element === next) next = next.nextElementSibling;
      else this.element.insertBefore(element, next);
    }
    this.#arrange();
    if (focused && kept.has(focused)) focused.link.focus({ preventScroll: true });
    else if (!this.#order.some(({ link }) => link.tabIndex === 0)) this.#order[0]?.link.setAttribute('tabindex', '0');
    this.#glide(before);
  }

  focus(imageId: string): void {
    this.#tiles.get(imageId)?.link.focus();
  }

  /** True while no tile beyond the first `count` is on screen. */
  isWithin(count: number): boolean {
    const beyond = this.#order[count];
    return !beyond || beyond.element.getBoundingClientRect().top > innerHeight;
  }

  end(): void {
    this.#resize.disconnect();
    for (const { end } of this.#tiles.values()) end();
  }

  #tile(item: Item): Tile {
    let tile = this.#tiles.get(item.image_id);
    if (!tile) {
      const image = make('img', 'image', { decoding: 'async' });
      const canvas = make('canvas', 'placeholder', { 'aria-hidden': 'true' });
      const picture = make('picture', '', {}, make('source', '', { type: 'image/webp' }), image);
      const link = make('a', 'link', { tabindex: '-1' }, canvas, picture, make('span', 'name', { 'aria-hidden': 'true' }));
      const element = make('div', 'tile', { role: 'listitem' }, link);
      const made: Tile = { item, element, link, image, files: '', box: { left: 0, top: 0, width: 0, height: 0 }, end: () => {} };
      image.addEventListener('load', () => element.classList.add('loaded'));
      image.addEventListener('error', () => element.classList.add('broken'));
      link.addEventListener('click', (event) => this.#events.chosen(event, made.item));
      paint(canvas, item.thumbhash);
      this.#tiles.set(item.image_id, made);
      tile = made;
    }
    tile.item = item;
    tile.link.href = webAddress(item.link) ?? item.url ?? item.preview ?? '';
    tile.image.alt = tile.link.querySelector('span')!.textContent = nameOf(item, this.#words);
    tile.end = this.#events.watch(tile.element, item);
    return tile;
  }

  /** Gives every tile its place by a transform, which no browser counts as a shift of the layout. */
  #arrange(): void {
    const width = (this.#width = this.element.clientWidth);
    if (!width) return;
    const style = getComputedStyle(this.element);
    const measures = { width, row: parseFloat(style.rowGap) || 220, gap: parseFloat(style.columnGap) || 0 };
    const boxes = justify(this.#order.map(({ item }) => aspectOf(item)), measures);
    const last = boxes.at(-1);
    this.element.style.height = `${last ? last.top + last.height : 0}px`;
    this.#order.forEach((tile, index) => {
      const box = boxes[index]!;
      if (style.direction === 'rtl') box.left = width - box.left - box.width;
      tile.box = box;
      const { style: own } = tile.element;
      own.width = `${box.width}px`;
      own.height = `${box.height}px`;
      own.transform = `translate(${box.left}px,${box.top}px)`;
      this.#load(tile);
    });
  }

  /** Sets which files show the item. The size on screen is known by now, so the browser takes the right one. */
  #load(tile: Tile): void {
    const { item, box, image, element } = tile;
    const source = image.previousElementSibling as HTMLSourceElement;
    source.sizes = image.sizes = `${Math.ceil(box.width)}px`;
    const address = (item.srcset ? item.preview : item.url) ?? item.preview;
    // A signature in the address changes while the picture stays.
    const files = [item.srcset, item.srcset_webp, address].join(' ').replace(/\?\S*signature=\S*/g, '');
    if (tile.files === files) return;
    tile.files = files;
    element.classList.remove('loaded', 'broken');
    image.loading = box.top < innerHeight ? 'eager' : 'lazy';
    image.fetchPriority = box.top ? 'auto' : 'high';
    setOrRemove(source, 'srcset', item.srcset_webp);
    setOrRemove(image, 'srcset', item.srcset);
    setOrRemove(image, 'src', address);
  }

  #glide(before: Map<string, Box>): void {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    const { top } = this.element.getBoundingClientRect();
    const view = { top: -top - innerHeight / 2, bottom: -top + innerHeight * 1.5 };
    const after = new Map(this.#order.map(({ item, box }) => [item.image_id, box]));
    for (const { id, dx, dy, sx, sy } of moves(before, after, view)) {
      const { element, box } = this.#tiles.get(id)!;
      for (const animation of element.getAnimations()) animation.cancel();
      const from = `translate(${box.left + dx}px,${box.top + dy}px) scale(${sx},${sy})`;
      element.animate([{ transformOrigin: '0 0', transform: from }, { transformOrigin: '0 0' }], GLIDE);
    }
  }

  /** The tab key comes back to the tile that had the focus last. */
  #stopAt(target: Element): void {
    for (const { link } of this.#order) link.tabIndex = link === target ? 0 : -1;
  }

  #key(event: KeyboardEvent): void {
    const index = this.#order.findIndex(({ link }) => link === event.target);
    if (index < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const forward = getComputedStyle(this.element).direction === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    const target = {
      [forward]: index + 1,
      [forward === 'ArrowLeft' ? 'ArrowRight' : 'ArrowLeft']: index - 1,
      ArrowDown: this.#beside(index, 1),
      ArrowUp: this.#beside(index, -1),
      Home: 0,
      End: this.#order.length - 1,
    }[event.key];
    const tile = target === undefined ? undefined : this.#order[target];
    if (!tile) return;
    event.preventDefault();
    tile.link.focus();
  }

  /** The tile of the next row in this direction that is nearest across. */
  #beside(index: number, direction: 1 | -1): number {
    const { box } = this.#order[index]!;
    const middle = ({ left, width }: Box) => left + width / 2;
    let best = -1;
    let row: number | undefined;
    for (let at = index + direction; this.#order[at]; at += direction) {
      const other = this.#order[at]!.box;
      if (other.top === box.top) continue;
      row ??= other.top;
      if (other.top !== row) break;
      const distance = Math.abs(middle(other) - middle(box));
      if (best < 0 || distance < Math.abs(middle(this.#order[best]!.box) - middle(box))) best = at;
    }
    return best;
  }
}
