/** Views and clicks, sent as a visitor's browser would send them: in batches, with the public application id. */

import { api } from './api.js';
import { backoffMs } from '../dist/shared.js';
import { plural, uuid } from './format.js';

const APPLICATION_NAME = 'Eyeline web';
/** Views wait this long for company; a click goes almost at once, so that its effect is soon seen. */
const VIEW_WAIT_MS = 1000;
const CLICK_WAIT_MS = 100;
const BATCH_MAX = 100;
/** With the server away, the oldest events are given up beyond this. */
const WAITING_MAX = 2000;

/** The session id of this tab: the same over reloads, gone when the tab closes. */
export function sessionId(storage = sessionStorage) {
  let id = storage.getItem('eyeline.session');
  if (!id) {
    id = uuid();
    storage.setItem('eyeline.session', id);
  }
  return id;
}

/** The stored form of a gallery event; its `event_id` makes sending it again harmless. */
export function galleryEvent(name, { galleryId, imageId, position, orderId }, session, now = new Date()) {
  return {
    event_id: uuid(),
    session_id: session,
    category: 'gallery',
    name,
    data: { gallery_id: galleryId, image_id: imageId, position, order_id: orderId },
    timestamp: now.toISOString(),
  };
}

/** Finds or makes the application under which this page sends events, and lets it be used from this address. */
export async function ownApplication(projectId, origin, client = api) {
  let cursor = null;
  do {
    const page = await client.applications(projectId, cursor);
    const own = page.applications.find((application) => application.name === APPLICATION_NAME);
    if (own) {
      if (!own.allowed_origins.includes(origin)) {
        await client.allowOrigins(own.application_id, [...own.allowed_origins, origin]);
      }
      return own.application_id;
    }
    cursor = page.next_cursor;
  } while (cursor);
  return (await client.createApplication(projectId, APPLICATION_NAME, [origin])).application_id;
}

/** Event: `trouble` (detail: a sentence, or null when all is well again). */
export class Tracker extends EventTarget {
  #projectId;
  #session;
  #application = null;
  #waiting = [];
  #seen = new Set();
  #timer = null;
  #due = Infinity;
  #sending = false;
  #failures = 0;
  #closed = false;

  constructor(projectId, session = sessionId()) {
    super();
    this.#projectId = projectId;
    this.#session = session;
  }

  /** Counts one view an image and page view, however often its tile comes by. */
  view(place) {
    const key = `${place.galleryId} ${place.imageId}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#add('view', place, VIEW_WAIT_MS);
  }

  click(place) {
    this.#add('click', place, CLICK_WAIT_MS);
  }

  #add(name, place, waitMs) {
    this.#waiting.push(galleryEvent(name, place, this.#session));
    if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
    // After a failure the pause is the server's to set, not the next click's.
    if (this.#failures === 0) this.#schedule(waitMs);
  }

  #schedule(waitMs) {
    const due = Date.now() + waitMs;
    if (this.#sending || due >= this.#due || (this.#closed && this.#failures)) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.flush(), waitMs);
  }

  /** Sends what waits. An event leaves the queue only once the server has answered for it. */
  async flush() {
    clearTimeout(this.#timer);
    this.#due = Infinity;
    if (this.#sending || this.#waiting.length === 0) return;
    this.#sending = true;
    const batch = this.#waiting.slice(0, BATCH_MAX);
    let waitMs = 0;
    try {
      this.#application ??= await ownApplication(this.#projectId, location.origin);
      const { rejected = [] } = await api.events(this.#application, batch);
      this.#settle(batch, rejected.length && `The server refused ${plural(rejected.length, 'event')}.`);
    } catch (error) {
      waitMs = this.#failed(batch, error);
    } finally {
      this.#sending = false;
    }
    if (this.#waiting.length) this.#schedule(waitMs);
  }

  #settle(batch, trouble) {
    const settled = new Set(batch);
    this.#waiting = this.#waiting.filter((event) => !settled.has(event));
    this.#failures = 0;
    this.#say(trouble || null);
  }

  /** What waits is kept when another attempt can help, and given up when the server has refused it for good. */
  #failed(batch, error) {
    if (error.temporary) {
      const waitMs = Math.max(backoffMs(this.#failures++, { baseMs: 1000 }), error.retryAfterMs ?? 0);
      this.#say(`${plural(this.#waiting.length, 'view or click')} not counted yet: ${error.words} Trying again.`);
      return waitMs;
    }
    this.#settle(batch, `Views and clicks were not counted: ${error.words ?? error.message}`);
    return 0;
  }

  #say(sentence) {
    this.dispatchEvent(new CustomEvent('trouble', { detail: sentence }));
  }

  /** Sends the rest, without insisting. */
  close() {
    this.#closed = true;
    this.flush();
  }
}
