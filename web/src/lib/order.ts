/** A gallery's items as the server orders them: pages by cursor, and the top again when the order moves. */

/** The most items of one request, and so how much of the top follows the moving order. */
export const PAGE = 100;

export interface OrderedPage<Item> {
  items: Item[];
  strategy: string;
  next_cursor?: string | null;
}

/** The items of `page` that `known` (a set of image ids) does not have. */
export const unknownItems = <Item extends { image_id: string }>(known: Set<string>, page: { items: Item[] }): Item[] =>
  page.items.filter((item) => !known.has(item.image_id));

/** `items` with the objects of `before` where nothing changed, so that what is drawn of them stays. */
export function keepSame<Item extends { image_id: string }>(before: Item[], items: Item[]): Item[] {
  const known = new Map(before.map((item) => [item.image_id, item]));
  const isSame = (item: Item, other: Item | undefined) => JSON.stringify(item) === JSON.stringify(other);
  const kept = items.map((item) => (isSame(item, known.get(item.image_id)) ? known.get(item.image_id)! : item));
  return kept.length === before.length && kept.every((item, at) => item === before[at]) ? before : kept;
}

type Read<Item> = (cursor: string | undefined, signal: AbortSignal) => Promise<OrderedPage<Item>>;

/** Event: `changed`, after any change of `items`, `strategy`, `loaded` or `error`. */
export class OrderedItems<Item extends { image_id: string }> extends EventTarget {
  #read: Read<Item>;
  #cursor: string | undefined | null = null;
  #abort = new AbortController();
  #turn: Promise<void> = Promise.resolve();
  #queued = new Set<string>();
  items: Item[] = [];
  strategy: string | null = null;
  loaded = false;
  /** The error of the last request; null once one has worked. */
  error: unknown = null;

  constructor(read: Read<Item>) {
    super();
    this.#read = read;
  }

  get hasMore(): boolean {
    return Boolean(this.#cursor);
  }

  /** Reads the top in the newest order. Items beyond it are read again on scrolling. */
  refresh(): Promise<void> {
    return this.#inTurn('refresh', async () => {
      const page = await this.#read(undefined, this.#abort.signal);
      this.items = keepSame(this.items, page.items);
      this.#cursor = page.next_cursor;
      this.strategy = page.strategy;
      this.loaded = true;
    });
  }

  /** Reads the next page, in the order that the first one began. */
  more(): Promise<void> {
    return this.#inTurn('more', async () => {
      // A refresh in between may have found the end.
      if (!this.#cursor) return;
      const page = await this.#read(this.#cursor, this.#abort.signal);
      // A cursor that has outlived its order goes on in the newest one, which may repeat items.
      this.items = [...this.items, ...unknownItems(new Set(this.items.map((item) => item.image_id)), page)];
      this.#cursor = page.next_cursor;
    });
  }

  /** Takes images out of the list before the server's next order does. */
  without(ids: Set<string>): void {
    this.items = this.items.filter((item) => !ids.has(item.image_id));
    this.dispatchEvent(new Event('changed'));
  }

  /** One request at a time, in turn; a wish that already waits is not queued twice. */
  #inTurn(name: string, work: () => Promise<void>): Promise<void> {
    if (!this.#queued.has(name)) {
      this.#queued.add(name);
      this.#turn = this.#turn.then(() => this.#run(name, work));
    }
    return this.#turn;
  }

  async #run(name: string, work: () => Promise<void>): Promise<void> {
    this.#queued.delete(name);
    if (this.#abort.signal.aborted) return;
    try {
      await work();
      this.error = null;
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.error = error;
    }
    this.dispatchEvent(new Event('changed'));
  }

  /** Ends all requests; the object is of no further use. */
  close(): void {
    this.#abort.abort();
  }
}

/**
 * Calls `work` soon after `poke`, and at most once in `everyMs`. While `held` is true nothing happens; `release` makes up
 * for what was missed.
 */
export class Debounce {
  #work: () => void;
  #everyMs: number;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #last = -Infinity;
  #wanted = false;
  held = false;

  constructor(work: () => void, everyMs: number) {
    this.#work = work;
    this.#everyMs = everyMs;
  }

  poke(now = performance.now()): void {
    this.#wanted = true;
    if (this.held || this.#timer !== null) return;
    const waitMs = Math.max(50, this.#last + this.#everyMs - now);
    this.#timer = setTimeout(() => this.#run(), waitMs);
  }

  #run(): void {
    this.#timer = null;
    if (this.held || !this.#wanted) return;
    this.#wanted = false;
    this.#last = performance.now();
    this.#work();
  }

  release(): void {
    this.held = false;
    if (this.#wanted) this.poke();
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#wanted = false;
  }
}
