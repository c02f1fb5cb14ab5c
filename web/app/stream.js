/** The project's live news: a WebSocket that comes back by itself and goes on where it stopped. */

import { api } from './api.js';
import { backoffMs, sleep } from './backoff.js';

/**
 * What a message means for the number to go on from: `since` never falls, except that a `reset` says where to start
 * again. Messages without `seq` are hints and change nothing.
 */
export function nextSince(since, message) {
  if (typeof message.seq !== 'number') return since;
  if (message.type === 'reset') return message.seq;
  return since === null ? message.seq : Math.max(since, message.seq);
}

/**
 * Events: `news` (detail: the message) for every message; `live` (detail: true or false) when the connection comes or
 * goes; `gap` when news may have been missed and what is shown has to be read again: after the server's `reset`,
 * and after every connection made without a number to go on from.
 */
export class Stream extends EventTarget {
  #projectId;
  #since = null;
  #stop = new AbortController();
  #socket = null;
  live = false;

  constructor(projectId) {
    super();
    this.#projectId = projectId;
  }

  /** Connects, and connects again with a growing pause, until `close`. */
  async run() {
    for (let attempt = 0; !this.#stop.signal.aborted; attempt++) {
      try {
        if (await this.#connection()) attempt = 0;
      } catch (error) {
        // A signed-out visitor or a deleted project will not come back by asking again.
        if ([401, 403, 404].includes(error.status)) {
          this.dispatchEvent(new CustomEvent('refused', { detail: error }));
          return;
        }
      }
      await sleep(backoffMs(attempt), this.#stop.signal).catch(() => {});
    }
  }

  /** One connection from ticket to end; true if it was ever open. A ticket opens one socket, so each needs its own. */
  async #connection() {
    const { ticket } = await api.streamTicket(this.#projectId);
    if (this.#stop.signal.aborted) return false;
    const url = new URL(`/api/v1/projects/${encodeURIComponent(this.#projectId)}/stream`, location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    url.searchParams.set('ticket', ticket);
    if (this.#since !== null) url.searchParams.set('since', this.#since);
    return new Promise((resolve) => {
      const socket = new WebSocket(url);
      let opened = false;
      this.#socket = socket;
      socket.onopen = () => {
        opened = true;
        this.#setLive(true);
        if (this.#since === null) this.dispatchEvent(new CustomEvent('gap'));
      };
      socket.onmessage = ({ data }) => this.#receive(data);
      socket.onclose = () => {
        this.#setLive(false);
        resolve(opened);
      };
    });
  }

  #receive(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    this.#since = nextSince(this.#since, message);
    this.dispatchEvent(new CustomEvent(message.type === 'reset' ? 'gap' : 'news', { detail: message }));
  }

  #setLive(live) {
    if (this.live === live) return;
    this.live = live;
    this.dispatchEvent(new CustomEvent('live', { detail: live }));
  }

  close() {
    this.#stop.abort();
    this.#socket?.close();
  }
}
