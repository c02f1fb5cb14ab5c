/**
 * The grid: justified rows in rank order, one tab stop, tiles that glide when the order moves. Only tiles near the visible
 * part are in the document.
 */

import { make, setOrRemove, webAddress } from './dom.js';
import type { Item } from './pages.js';
import { moves } from './shared/flip.js';
import { isWithin, justify, lastRow, touching, type Box } from './shared/justify.js';
import { paint } from './shared/thumbhash.js';
import type { Words } from './words.js';

/** The grid crops very wide and very tall pictures to these aspects. The lightbox does not. */
const ASPECT_MIN = 0.5;
const ASPECT_MAX = 3;
/** Pixels above and below the visible part in which tiles are in the document. */
const MARGIN = 1200;
/** Tiles in the document, unless a screen shows more; and the fewest before and after the visible ones. */
const TILES_MAX = 600;
const SPARE_MIN = 50;
/** Milliseconds after which the making of tiles yields to the visitor, and continues in another task. */
const SLICE_MS = 5;
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
  /** Begins to watch a tile, or notes its new place. Returns a function that ends it. */
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
  #items: Item[] = [];
  /** One for each item, once the width is known. */
  #boxes: Box[] = [];
  /** The tiles in the document, by image. */
  #tiles = new Map<string, Tile>();
  /** The image whose tile the tab key reaches. That tile stays in the document. */
  #stop: string | undefined;
  #width = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The part of the grid that can be seen, in pixels from its top. */
  #visible: { top: number; bottom: number } | undefined;
  /** Two spans without tiles, above and below. Each ends halfway between the nearest tile of it and the visible part. */
  #gaps = [0, 1].map(() => make('div', '', { class: 'gap', 'aria-hidden': 'true' }));
  /** Measures the visible part, in any scroller and any frame, when a gap becomes visible. */
  #sight = new IntersectionObserver((entries) => this.#sighted(entries));
  #resize = new ResizeObserver(() => {
    if (this.element.clientWidth === this.#width) return;
    this.#visible = undefined;
    this.#arrange();
  });

  constructor(words: Words, events: GridEvents) {
    this.#words = words;
    this.#events = events;
    this.element = make('div', 'grid', { role: 'list', 'aria-label': words.gallery }, ...this.#gaps);
    this.element.addEventListener('keydown', (event) => this.#key(event));
    this.element.addEventListener('focusin', ({ target }) => this.#focused(target));
    this.#resize.observe(this.element);
  }

  /** Shows these items in this order. */
  show(items: Item[]): void {
    if (this.#items.length > 0 && this.#items.every((item, at) => item === items[at])) {
      this.#items = [...items];
      this.#arrange(lastRow(this.#boxes));
      return;
    }
    const focused = this.#stopTile?.link.matches(':focus') && this.#stop;
    const before = new Map(this.#boxes.map((box, index) => [this.#items[index]!.image_id, box]));
    this.#items = [...items];
    this.#arrange();
    if (focused && focused === this.#stop) this.#stopTile!.link.focus({ preventScroll: true });
    this.#glide(before);
  }

  focus(imageId: string): void {
    this.#stop = imageId;
    this.#draw();
    if (this.#stop === imageId) this.#stopTile?.link.focus();
  }

  /** True while no tile beyond the first `count` is on screen. */
  isWithin(count: number): boolean {
    return isWithin(this.#boxes, count, innerHeight - this.element.getBoundingClientRect().top);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#resize.disconnect();
    this.#sight.disconnect();
    for (const { end } of this.#tiles.values()) end();
  }

  get #stopTile(): Tile | undefined {
    return this.#tiles.get(this.#stop ?? '');
  }

  get #height(): number {
    const last = this.#boxes.at(-1);
    return last ? last.top + last.height : 0;
  }

  /** Gives every item its place; those before `from` have it, unless the width changed. */
  #arrange(from = 0): void {
    const width = this.element.clientWidth;
    if (width !== this.#width) from = 0;
    this.#width = width;
    const style = getComputedStyle(this.element);
    const measures = { width, row: parseFloat(style.rowGap) || 220, gap: parseFloat(style.columnGap) || 0 };
    // A grid that is not displayed has no width.
    const added = width ? justify(this.#items.slice(from).map(aspectOf), measures) : [];
    const top = from > 0 ? this.#boxes[from]!.top : 0;
    for (const box of added) {
      box.top += top;
      if (style.direction === 'rtl') box.left = width - box.left - box.width;
    }
    this.#boxes = [...this.#boxes.slice(0, from), ...added];
    this.element.style.height = `${this.#height}px`;
    this.#draw();
    this.#look(this.element);
  }

  /** Requests a measurement of the visible part: an observer reports a new target at the next frame. */
  #look(...targets: Element[]): void {
    for (const target of targets) {
      this.#sight.unobserve(target);
      this.#sight.observe(target);
    }
  }

  #sighted(entries: IntersectionObserverEntry[]): void {
    const whole = entries.findLast(({ target }) => target === this.element);
    if (whole?.isIntersecting) {
      const { intersectionRect: seen, boundingClientRect: { top } } = whole;
      this.#visible = { top: seen.top - top, bottom: seen.bottom - top };
      this.#draw();
    } else if (entries.some(({ isIntersecting }) => isIntersecting)) this.#look(this.element);
  }

  /** Brings the tiles around the visible part into the document, and removes the others. */
  #draw(): void {
    const { top, bottom } = (this.#visible ??= this.#screen());
    const seen = touching(this.#boxes, top, bottom);
    const near = touching(this.#boxes, top - MARGIN, bottom + MARGIN);
    const spare = Math.max(SPARE_MIN, (TILES_MAX - seen.end + seen.first) >> 1);
    const first = Math.max(near.first, seen.first - spare);
    const end = Math.min(near.end, seen.end + spare);
    const stop = Math.max(0, this.#indexOf(this.#stop));
    this.#stop = this.#items[stop]?.image_id;
    const shown = Array.from({ length: end - first }, (_, at) => first + at);
    if (stop < first) shown.unshift(stop);
    if (stop >= end && this.#boxes[stop]) shown.push(stop);

    const kept = new Set(shown.map((index) => this.#items[index]!.image_id));
    for (const [id, tile] of this.#tiles) {
      if (kept.has(id)) continue;
      tile.end();
      tile.element.remove();
      this.#tiles.delete(id);
    }
    // The order of the elements is that of the keyboard and of screen readers.
    let next = this.element.firstElementChild;
    const begin = performance.now();
    clearTimeout(this.#timer);
    for (const index of shown) {
      const isLate = index !== stop && performance.now() - begin > SLICE_MS;
      if (isLate && !this.#tiles.has(this.#items[index]!.image_id)) {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#draw());
        continue;
      }
      const { element } = this.#tile(index);
      if (element === next) next = next.nextElementSibling;
      else this.element.insertBefore(element, next);
    }
    const [above, below] = [this.#boxes[first - 1], this.#boxes[end]];
    const middle = [above ? (above.top + above.height + top) / 2 : 0, below ? (below.top + bottom) / 2 : this.#height];
    this.#gaps.forEach((gap, at) => {
      gap.hidden = !(at ? below : above);
      gap.style.top = `${at ? middle[1] : 0}px`;
      gap.style.height = `${at ? this.#height - middle[1]! : middle[0]}px`;
    });
    this.#look(...this.#gaps);
  }

  /** The part of the grid on the screen, as far as that is known without an observer. */
  #screen(): { top: number; bottom: number } {
    const { top } = this.element.getBoundingClientRect();
    const seen = Math.max(0, Math.min(-top, this.#height - innerHeight));
    return { top: seen, bottom: seen + innerHeight };
  }

  #indexOf(imageId: string | undefined): number {
    return this.#items.findIndex(({ image_id }) => image_id === imageId);
  }

  /** The tile of an item, at its place and with its picture. */
  #tile(index: number): Tile {
    const [item, box] = [this.#items[index]!, this.#boxes[index]!];
    let tile = this.#tiles.get(item.image_id);
    if (!tile) this.#tiles.set(item.image_id, (tile = this.#newTile(item, box)));
    const { element, link, image } = tile;
    element.setAttribute('aria-posinset', String(index + 1));
    element.setAttribute('aria-setsize', String(this.#items.length));
    link.tabIndex = item.image_id === this.#stop ? 0 : -1;
    if (tile.item === item && tile.box === box && tile.files) return tile;
    Object.assign(tile, { item, box });
    link.href = webAddress(item.link) ?? item.url ?? item.preview ?? '';
    image.alt = link.lastElementChild!.textContent = nameOf(item, this.#words);
    // A transform, since no browser counts it as a shift of the layout.
    const { style } = element;
    style.width = `${box.width}px`;
    style.height = `${box.height}px`;
    style.transform = `translate(${box.left}px,${box.top}px)`;
    this.#load(tile);
    tile.end = this.#events.watch(element, item);
    return tile;
  }

  #newTile(item: Item, box: Box): Tile {
    const image = make('img', 'image', { decoding: 'async' });
    const canvas = make('canvas', 'placeholder', { 'aria-hidden': 'true' });
    const picture = make('picture', '', {}, make('source', '', { type: 'image/webp' }), image);
    const link = make('a', 'link', {}, canvas, picture, make('span', 'name', { 'aria-hidden': 'true' }));
    const element = make('div', 'tile', { role: 'listitem' }, link);
    const tile: Tile = { item, box, element, link, image, files: '', end: () => {} };
    image.addEventListener('load', () => element.classList.add('loaded'));
    image.addEventListener('error', () => element.classList.add('broken'));
    link.addEventListener('click', (event) => this.#events.chosen(event, tile.item));
    paint(canvas, item.thumbhash);
    return tile;
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
    image.loading = box.top < this.#visible!.bottom ? 'eager' : 'lazy';
    image.fetchPriority = box.top ? 'auto' : 'high';
    setOrRemove(source, 'srcset', item.srcset_webp);
    setOrRemove(image, 'srcset', item.srcset);
    setOrRemove(image, 'src', address);
  }

  #glide(before: Map<string, Box>): void {
    if (!this.#visible || matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    const { top, bottom } = this.#visible;
    const half = (bottom - top) / 2;
    const after = new Map([...this.#tiles].map(([id, { box }]) => [id, box]));
    for (const { id, dx, dy, sx, sy } of moves(before, after, { top: top - half, bottom: bottom + half })) {
      const { element, box } = this.#tiles.get(id)!;
      for (const animation of element.getAnimations()) animation.cancel();
      const from = `translate(${box.left + dx}px,${box.top + dy}px) scale(${sx},${sy})`;
      element.animate([{ transformOrigin: '0 0', transform: from }, { transformOrigin: '0 0' }], GLIDE);
    }
  }

  /** Lets the tab key return to the tile that had the focus last. */
  #focused(target: EventTarget | null): void {
    for (const [id, { link }] of this.#tiles) {
      if (link === target) this.#stop = id;
      link.tabIndex = link === target ? 0 : -1;
    }
  }

  #key(event: KeyboardEvent): void {
    const index = this.#indexOf(this.#stop);
    if (event.target !== this.#stopTile?.link || event.altKey || event.ctrlKey || event.metaKey) return;
    const forward = getComputedStyle(this.element).direction === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    const target = {
      [forward]: index + 1,
      [forward === 'ArrowLeft' ? 'ArrowRight' : 'ArrowLeft']: index - 1,
      ArrowDown: this.#beside(index, 1),
      ArrowUp: this.#beside(index, -1),
      Home: 0,
      End: this.#items.length - 1,
    }[event.key];
    const item = target === undefined ? undefined : this.#items[target];
    if (!item) return;
    event.preventDefault();
    this.focus(item.image_id);
  }

  /** The tile of the next row in this direction that is nearest across. */
  #beside(index: number, direction: 1 | -1): number {
    const box = this.#boxes[index]!;
    const middle = ({ left, width }: Box) => left + width / 2;
    let best = -1;
    let row: number | undefined;
    for (let at = index + direction; this.#boxes[at]; at += direction) {
      const other = this.#boxes[at]!;
      if (other.top === box.top) continue;
      row ??= other.top;
      if (other.top !== row) break;
      const distance = Math.abs(middle(other) - middle(box));
      if (best < 0 || distance < Math.abs(middle(this.#boxes[best]!) - middle(box))) best = at;
    }
    return best;
  }
}
