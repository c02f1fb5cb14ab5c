/** Views and clicks of a gallery's tiles. */

/** The image on a tile, as an event names it. */
export interface Place {
  gallery_id: string;
  image_id: string;
  /** The receipt that came with the item. It proves to the server where the image was shown. */
  place?: string | null | undefined;
  position?: number | null | undefined;
  order_id?: string | null | undefined;
}

interface Tile {
  place: Place;
  timer?: ReturnType<typeof setTimeout> | undefined;
}

/** Reports once for each image that half of its tile was on screen, and every click. */
export class Watch {
  #tiles = new Map<Element, Tile>();
  #seen = new Set<string>();
  #dwellMs: () => number;
  #tell: (name: 'view' | 'click', place: Place) => boolean;
  #observer = new IntersectionObserver((entries) => this.#crossed(entries), { threshold: 0.5 });

  /** `tell` is false when it does not want to know now. */
  constructor(dwellMs: () => number, tell: (name: 'view' | 'click', place: Place) => boolean) {
    this.#dwellMs = dwellMs;
    this.#tell = tell;
    document.addEventListener('visibilitychange', () => this.again());
  }

  /** Watches a tile, or notes its new place. Returns a function that ends it. */
  add(element: Element, place: Place): () => void {
    const known = this.#tiles.get(element);
    if (known) {
      const same = known.place.image_id === place.image_id;
      known.place = place;
      if (!same) this.#observe(element);
    } else {
      this.#tiles.set(element, { place });
      element.addEventListener('click', this.#clicked);
      element.addEventListener('auxclick', this.#clicked);
      this.#observe(element);
    }
    return () => this.#remove(element);
  }

  /** Checks all tiles again: an observer reports only changes. */
  again(): void {
    for (const element of this.#tiles.keys()) this.#observe(element);
  }

  #observe(element: Element): void {
    this.#observer.unobserve(element);
    const tile = this.#tiles.get(element)!;
    clearTimeout(tile.timer);
    if (!this.#seen.has(keyOf(tile.place))) this.#observer.observe(element);
  }

  #remove(element: Element): void {
    this.#observer.unobserve(element);
    clearTimeout(this.#tiles.get(element)?.timer);
    this.#tiles.delete(element);
    element.removeEventListener('click', this.#clicked);
    element.removeEventListener('auxclick', this.#clicked);
  }

  #crossed(entries: IntersectionObserverEntry[]): void {
    for (const { isIntersecting, intersectionRatio, target } of entries) {
      const tile = this.#tiles.get(target);
      if (!tile) continue;
      clearTimeout(tile.timer);
      // A page in the background, or one that is rendered ahead, shows nobody anything.
      if (!isIntersecting || intersectionRatio < 0.5 || document.visibilityState === 'hidden') continue;
      const dwellMs = this.#dwellMs();
      if (dwellMs > 0) tile.timer = setTimeout(() => this.#view(target, tile), dwellMs);
      else this.#view(target, tile);
    }
  }

  #view(element: Element, { place }: Tile): void {
    const key = keyOf(place);
    if (this.#seen.has(key) || !this.#tell('view', place)) return;
    this.#seen.add(key);
    this.#observer.unobserve(element);
  }

  #clicked = (event: Event): void => {
    const tile = this.#tiles.get(event.currentTarget as Element);
    // The right button opens a menu and nothing else.
    if (tile && (event as MouseEvent).button < 2) this.#tell('click', tile.place);
  };
}

const keyOf = ({ gallery_id, image_id }: Place): string => `${gallery_id} ${image_id}`;
