/** A gallery's items in the server's order: page by page, and the top again when the order may have moved. */

import { retryAfterMs, type Temporary } from './shared/backoff.js';

/** An item as the API gives it. */
export interface Item {
  position: number | null;
  image_id: string;
  external_id: string | null;
  name: string | null;
  url: string | null;
  preview: string | null;
  srcset: string | null;
  srcset_webp?: string | null;
  link: string | null;
  width: number | null;
  height: number | null;
  thumbhash: string | null;
  place?: string | null;
  /** The order that the item was served in. */
  order_id: string;
}

export interface Page {
  gallery_id: string;
  order_id: string;
  items: Omit<Item, 'order_id'>[];
  next_cursor: string | null;
}

/** The most items of one request, and so the length of the top that can follow the order. */
export const LIMIT_MAX = 100;

/** Reads one page. `fresh`: the server has to confirm an answer from the browser's cache. */
export type Read = (asked: { limit?: number | undefined; cursor?: string | null; fresh: boolean }) => Promise<Page>;

/** A page that could not be read; without a status there was no answer that may be read. */
export class ReadError extends Error implements Temporary {
  temporary: boolean;
  retryAfterMs: number | null = null;

  constructor(
    message: string,
    readonly status = 0,
    retryAfter: string | null = null,
  ) {
    super(message);
    this.temporary = !status || status === 429 || status >= 500;
    this.retryAfterMs = retryAfterMs(retryAfter);
  }
}

/** Reads a page of a gallery. `query` names the gallery's order, the visitor and the application. */
export async function readPage(url: string, query: Record<string, unknown>, init: RequestInit): Promise<Page> {
  const given = Object.entries(query).filter(([, value]) => value) as [string, string][];
  let response: Response;
  try {
    response = await fetch(`${url}?${new URLSearchParams(given)}`, { credentials: 'omit', ...init });
  } catch (error) {
    throw new ReadError(String(error));
  }
  if (!response.ok) {
    const { detail } = await response.json().catch(() => ({}));
    throw new ReadError(detail ?? String(response.status), response.status, response.headers.get('Retry-After'));
  }
  return response.json();
}

/** One request at a time, in the order of the calls. */
export class Pages {
  items: Item[] = [];
  #read: Read;
  #limit: number | undefined;
  #cursor: string | null = null;
  #begun = false;
  #brought: Page | null;
  #turn: Promise<unknown> = Promise.resolve();

  /** `brought`: the first page, if it is known without a request. */
  constructor(read: Read, limit?: number, brought: Page | null = null) {
    this.#read = read;
    this.#limit = limit;
    this.#brought = brought;
  }

  get hasMore(): boolean {
    return !this.#begun || this.#cursor !== null;
  }

  /** Reads the first page, or the next one in the same order. Returns the new items. */
  more(): Promise<Item[]> {
    return this.#inTurn(async () => {
      if (!this.hasMore) return [];
      const page = this.#brought ?? (await this.#read({ limit: this.#limit, cursor: this.#cursor, fresh: false }));
      this.#brought = null;
      this.#begun = true;
      // A cursor that has outlived its order continues in the newest one, which may repeat items.
      const known = new Set(this.items.map(({ image_id }) => image_id));
      const added = named(page).filter(({ image_id }) => !known.has(image_id));
      this.items.push(...added);
      this.#cursor = page.next_cursor;
      return added;
    });
  }

  /** Reads the top again; true when it is of another order. Items beyond the top are dropped, to be read again. */
  again(): Promise<boolean> {
    return this.#inTurn(async () => {
      const limit = Math.min(LIMIT_MAX, this.items.length);
      if (!limit) return false;
      const page = await this.#read({ limit, fresh: true });
      if (page.order_id === this.items[0]?.order_id) return false;
      this.items = named(page);
      this.#cursor = page.next_cursor;
      return true;
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** The first page of a gallery that the server wrote into the element as JSON. It is taken once, because it ages. */
export function broughtPage(element: Element, gallery: string): Page | null {
  const script = element.querySelector(':scope > script[type="application/json"]');
  script?.remove();
  try {
    const page = JSON.parse(script?.textContent ?? 'null') as Page | null;
    return page?.gallery_id === gallery ? page : null;
  } catch {
    return null;
  }
}

const named = ({ items, order_id }: Page): Item[] => items.map((item) => ({ ...item, order_id }));
