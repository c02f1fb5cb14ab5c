/** The project's live news: a WebSocket that reconnects and resumes after the last message it received. */

import { backoffMs, sleep } from '../../../clients/js/src/shared/index.js';

export interface News {
  type: string;
  seq?: number;
  image_id?: string;
  gallery_id?: string;
  state?: string;
}

/**
 * The number to go on from after a message: it never falls, except that a `reset` says where to start again. Messages
 * without `seq` are hints and change nothing.
 */
export function nextSince(since: number | null, message: News): number | null {
  if (typeof message.seq !== 'number') return since;
  if (message.type === 'reset') return message.seq;
  return since === null ? message.seq : Math.max(since, message.seq);
}

/**
 * Events: `news` (detail: the message); `live` (detail: true or false) when the connection opens or closes; `gap` when
 * the page must read again what it shows: after every connection, and after the server's `reset`. A resumed connection
 * is a gap too, because the server stores no `gallery.order` hints.
 */
export class Stream extends EventTarget {
  #projectId: string;
  #ticket: (projectId: string) => Promise<{ ticket?: string }>;
  #since: number | null = null;
  #stop = new AbortController();
  #pause: AbortController | null = null;
  /** Ends the present connection without waiting for the other side. */
  #drop: () => void = () => {};
  live = false;

  constructor(projectId: string, ticket: (projectId: string) => Promise<{ ticket?: string }>) {
    super();
    this.#projectId = projectId;
    this.#ticket = ticket;
    const { signal } = this.#stop;
    // A socket over a lost network stays open for minutes; the browser knows earlier.
    globalThis.addEventListener?.('offline', () => this.#drop(), { signal });
    globalThis.addEventListener?.('online', () => this.#pause?.abort(), { signal });
  }

  /** Connects, and connects again with a growing pause, until `close`. */
  async run(): Promise<void> {
    for (let attempt = 0; !this.#stop.signal.aborted; attempt++) {
      try {
        if (await this.#connection()) attempt = 0;
      } catch (error) {
        // A signed-out visitor or a deleted project will not come back by asking again.
        if ([401, 403, 404].includes((error as { status?: number }).status ?? 0)) return;
      }
      this.#pause = new AbortController();
      await sleep(backoffMs(attempt), AbortSignal.any([this.#stop.signal, this.#pause.signal])).catch(() => {});
      this.#pause = null;
    }
  }

  /** One connection from ticket to end; true if it was ever open. A ticket opens one socket, so each needs its own. */
  async #connection(): Promise<boolean> {
    const { ticket } = await this.#ticket(this.#projectId);
    if (this.#stop.signal.aborted) return false;
    const url = new URL(`/api/v1/projects/${encodeURIComponent(this.#projectId)}/stream`, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.searchParams.set('ticket', ticket ?? '');
    if (this.#since !== null) url.searchParams.set('since', String(this.#since));
    return new Promise((resolve) => {
      const socket = new WebSocket(url);
      let opened = false;
      socket.onopen = () => {
        opened = true;
        this.#setLive(true);
        this.dispatchEvent(new CustomEvent('gap'));
      };
      socket.onmessage = ({ data }) => this.#receive(data);
      const end = () => {
        socket.onmessage = socket.onclose = null;
        this.#setLive(false);
        resolve(opened);
      };
      socket.onclose = end;
      this.#drop = () => {
        end();
        socket.close();
      };
    });
  }

  #receive(data: string): void {
    let message: News;
    try {
      message = JSON.parse(data) as News;
    } catch {
      return;
    }
    this.#since = nextSince(this.#since, message);
    this.dispatchEvent(new CustomEvent(message.type === 'reset' ? 'gap' : 'news', { detail: message }));
  }

  #setLive(live: boolean): void {
    if (this.live === live) return;
    this.live = live;
    this.dispatchEvent(new CustomEvent('live', { detail: live }));
  }

  close(): void {
    this.#stop.abort();
    this.#drop();
  }
}
