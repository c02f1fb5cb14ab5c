/** Events that wait to be sent: in memory, and in the browser's storage where the visitor's consent covers it. */

import { timeOfUuid7 } from './shared/uuid.js';

/** The part of `localStorage` that the queue uses. */
export type EventStore = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;

export interface Waiting {
  /** The event's id, a UUIDv7. */
  id: string;
  /** The event as JSON. */
  text: string;
  /** UTF-8 bytes of `text`. */
  bytes: number;
}

/** Bytes of events that wait. Beyond it the oldest are dropped. */
export const BYTES_MAX = 512 * 1024;
/**
 * The server recognises a repeated `event_id` for 7 days. An event waits for at most 2, so that a repetition is never
 * counted twice.
 */
export const AGE_MS_MAX = 48 * 3_600_000;

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/**
 * Each event has an entry of its own in the store, under a name with its id. So two tabs share the store without a lock:
 * both may send an event, and the server counts its id once.
 */
export class Queue {
  #waiting = new Map<string, Waiting>();
  #bytes = 0;
  #prefix: string;
  #store: EventStore | null = null;
  /** Events that were dropped because they were too many or too old. */
  dropped = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(id: string, text: string): void {
    this.#keep(id, text);
    this.#save(id, text);
  }

  /** The oldest events that fit into `bytes`, with a separator each, and at most `count`. */
  head(bytes: number, count: number): Waiting[] {
    const oldest = Date.now() - AGE_MS_MAX;
    const head: Waiting[] = [];
    let left = bytes;
    for (const waiting of this.#waiting.values()) {
      if (timeOfUuid7(waiting.id) < oldest) {
        this.#drop(waiting.id);
        continue;
      }
      left -= waiting.bytes + 1;
      if (left < 0 || head.length === count) break;
      head.push(waiting);
    }
    return head;
  }

  remove(ids: Iterable<string>): void {
    for (const id of ids) {
      this.#bytes -= this.#waiting.get(id)?.bytes ?? 0;
      this.#waiting.delete(id);
      this.#store?.removeItem(this.#prefix + id);
    }
  }

  clear(): void {
    this.remove([...this.#waiting.keys()]);
  }

  /** Replaces an id by another in the events that wait; `before` and `after` are of one length. */
  replace(before: string, after: string): void {
    for (const waiting of this.#waiting.values()) waiting.text = waiting.text.replaceAll(before, after);
  }

  /** Adds the events that earlier pages left in the store, and stores waiting and future events. */
  attach(store: EventStore | null): void {
    this.#store = store;
    if (!store) return;
    for (const { id, text } of this.#waiting.values()) this.#save(id, text);
    for (const id of this.#stored(store)) {
      const text = store.getItem(this.#prefix + id);
      if (text && !this.#waiting.has(id)) this.#keep(id, text);
    }
  }

  /** Deletes every event of the store, also those of other tabs, and leaves the store alone from now on. */
  erase(store: EventStore | null): void {
    this.#store = null;
    if (store) for (const id of this.#stored(store)) store.removeItem(this.#prefix + id);
  }

  #stored(store: EventStore): string[] {
    const names = Array.from({ length: store.length }, (_, index) => store.key(index));
    const own = names.filter((name) => name?.startsWith(this.#prefix)) as string[];
    return own.map((name) => name.slice(this.#prefix.length)).sort();
  }

  #keep(id: string, text: string): void {
    const bytes = bytesOf(text);
    this.#waiting.set(id, { id, text, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#waiting.keys()) {
      if (this.#bytes <= BYTES_MAX) break;
      this.#drop(oldest);
    }
  }

  #drop(id: string): void {
    this.remove([id]);
    this.dropped++;
  }

  #save(id: string, text: string): void {
    try {
      if (this.#waiting.has(id)) this.#store?.setItem(this.#prefix + id, text);
    } catch {
      // The store is full: the event waits in memory only.
    }
  }
}
