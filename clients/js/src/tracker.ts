/** The tracker: events of a visitor, queued, sent in batches, and kept until the server has answered for them. */

import { diagnose, type Check } from './diagnose.js';
import { Queue } from './queue.js';
import { BODY_BYTES_MAX, EVENTS_MAX, send } from './send.js';
import { backoffMs } from './shared/backoff.js';
import { isUuid, uuid7 } from './shared/uuid.js';
import { Watch, type Place } from './watch.js';

/**
 * - `pending`: the visitor has not answered yet. Events are kept in memory; nothing is stored or sent.
 * - `granted`: events are sent, and stored in the browser until then.
 * - `denied`: nothing is kept, stored or sent, and what was stored is deleted.
 * - `cookieless`: events are sent. Nothing is stored; the session lasts as long as the page.
 */
export type Consent = 'pending' | 'granted' | 'denied' | 'cookieless';

/** An event as it is sent. */
export interface TrackedEvent {
  event_id: string;
  session_id: string;
  category: string;
  name: string;
  data: Record<string, unknown>;
  timestamp: string;
  visitor_id?: string;
  place?: string;
}

export interface TrackerOptions {
  /** The application's public id. The origin of the page has to be one of its `allowed_origins`. */
  application: string;
  /** Where the server is, with its path if it has one. Default: where the script came from, or the page's own origin. */
  host?: string;
  /**
   * Default: `granted`. A browser that sends Global Privacy Control begins with `denied`, whatever stands here; only a
   * call of `consent()` changes that.
   */
  consent?: Consent;
  /** The longest time that an event waits for others, 250 to 5,000 ms. Default: 1,000. A click waits for 250 ms. */
  flush_ms?: number;
  /** How long half of a tile has to be on screen until it counts as a view, in ms. Default: 0. */
  dwell_ms?: number;
  /** The page's own name for the visitor, sent with every event. */
  visitor_id?: string;
  /** Sees every event before it is stored. It may change the event, or return null to drop it. */
  before_send?: (event: TrackedEvent) => TrackedEvent | null | undefined | void;
  /** Tells the console, or this function, why events do not arrive, and names the check that fails. */
  debug?: boolean | ((sentence: string, check: Check) => void);
}

const FLUSH_MS_MIN = 250;
const FLUSH_MS_MAX = 5000;
const RETRY = { baseMs: 1000, maxMs: 60_000 };
/** The pause after a refusal of the application or the origin, which somebody has to correct. */
const REFUSED_MS = 60_000;
const TEXT_CHARS_MAX = 200;
const SESSION = 'eyeline.session';

/** A storage of the browser; null where it is switched off, or where there is no browser. */
function storage(name: 'localStorage' | 'sessionStorage'): Storage | null {
  try {
    return globalThis[name] ?? null;
  } catch {
    return null;
  }
}

/** True if the browser sends Global Privacy Control. */
const isPrivate = (): boolean =>
  (globalThis.navigator as { globalPrivacyControl?: boolean } | undefined)?.globalPrivacyControl === true;

export class Tracker {
  readonly application: string;
  readonly host: string;
  #options: TrackerOptions;
  #state: Consent;
  #session = '';
  #queue: Queue;
  #watch: Watch | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity;
  #sending: Promise<void> | null = null;
  #failures = 0;
  /** Nothing is sent before this time, which the server has named. */
  #notBefore = 0;
  #checking = false;

  /** @internal Pages call `createTracker`. */
  constructor(host: string, options: TrackerOptions) {
    this.host = host;
    this.application = options.application;
    this.#options = options;
    this.#queue = new Queue(`eyeline:${this.application}:`);
    this.#state = isPrivate() ? 'denied' : (options.consent ?? 'granted');
    if (isPrivate()) this.say('consent', 'Global Privacy Control is on: nothing is sent before consent() allows it.');
    if (!isUuid(this.application)) this.say('application', `"${this.application}" is no application's id.`);
    this.#enter(this.#state);
    if (!globalThis.document) return;
    addEventListener('online', () => this.#resume());
    addEventListener('pageshow', () => this.#resume());
    addEventListener('pagehide', () => this.#leave());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && this.#leave());
  }

  /** The visitor's session; null until the visitor allows one. */
  get session_id(): string | null {
    return this.#sends ? this.#session : null;
  }

  /** Queues an event. */
  track(category: string, name: string, data: Record<string, unknown> = {}): void {
    this.#add(category, name, data, this.#options.flush_ms ?? 1000);
  }

  /**
   * Counts a view of an image once half of its tile was on screen, and each click on the tile. Called again with the same
   * element, it notes the new place. Returns a function that ends it.
   */
  watch(tile: Element, place: Place): () => void {
    this.#watch ??= new Watch(
      () => this.#options.dwell_ms ?? 0,
      (act, where) => this.#act(act, where),
    );
    return this.#watch.add(tile, place);
  }

  /** Changes what the visitor allows. */
  consent(state: Consent): void {
    if (state === this.#state) return;
    const before = this.#state;
    this.#state = state;
    this.#enter(before);
    this.#watch?.again();
  }

  /** Sends the waiting events. Resolves after the server's answer, or after a failed attempt. */
  flush(): Promise<void> {
    this.#sending ??= this.#drain().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  /** @internal Applies the given options. */
  configure(options: TrackerOptions): void {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.#options = { ...this.#options, ...Object.fromEntries(given) };
    if (options.consent && !isPrivate()) this.consent(options.consent);
  }

  /** @internal Reports to `debug`. */
  say(check: Check, sentence: string): void {
    const { debug } = this.#options;
    if (typeof debug === 'function') debug(sentence, check);
    else if (debug) console.warn(`eyeline: [${check}] ${sentence}`);
  }

  /** @internal Finds out why a request got no answer, and reports it to `debug`. */
  async check(): Promise<void> {
    if (!this.#options.debug || this.#checking) return;
    this.#checking = true;
    this.say(...(await diagnose(this.host, this.application)));
    this.#checking = false;
  }

  /** Applies the present consent. Data that the visitor allowed to store stays until that consent is revoked. */
  #enter(before: Consent): void {
    const store = storage('localStorage');
    const session = storage('sessionStorage');
    if (this.#state === 'granted') {
      const id = session?.getItem(SESSION) || this.#session || uuid7();
      if (this.#session) this.#queue.replace(this.#session, id);
      this.#session = id;
      try {
        session?.setItem(SESSION, id);
      } catch {
        // The storage is full: the session lasts as long as the page.
      }
      this.#queue.attach(store);
    } else if (this.#state === 'denied' || before === 'granted') {
      this.#queue.erase(store);
      session?.removeItem(SESSION);
    }
    if (this.#state === 'denied') {
      this.#queue.clear();
      this.#session = '';
    } else this.#session ||= uuid7();
    if (this.#queue.size) this.#schedule(FLUSH_MS_MIN);
  }

  #act(act: 'view' | 'click', { place, ...data }: Place): boolean {
    const waitMs = act === 'click' ? FLUSH_MS_MIN : (this.#options.flush_ms ?? 1000);
    return this.#add('gallery', act, data, waitMs, place);
  }

  #add(category: string, name: string, data: object, waitMs: number, place?: string | null): boolean {
    if (this.#state === 'denied') return false;
    const { visitor_id, before_send } = this.#options;
    let event: TrackedEvent | null | undefined | void = {
      event_id: uuid7(),
      session_id: this.#session,
      category,
      name,
      data: data as Record<string, unknown>,
      timestamp: new Date().toISOString(),
      ...(visitor_id ? { visitor_id } : {}),
      ...(place ? { place } : {}),
    };
    try {
      if (before_send) event = before_send(event);
      if (!event) return true;
      const text = JSON.stringify(event);
      const isText = [event.category, event.name].every((word) => word && word.length <= TEXT_CHARS_MAX);
      if (!isText) throw 'category and name need 1 to 200 characters';
      if (text.length * 3 > BODY_BYTES_MAX) throw 'it is too large';
      this.#queue.add(event.event_id, text);
    } catch (error) {
      // A mistake of the page's own function must not break the page.
      this.say('event', `Dropped: ${error}.`);
      return true;
    }
    // The next event must not end the pause after a failure.
    if (!this.#failures) this.#schedule(waitMs);
    return true;
  }

  #schedule(waitMs: number): void {
    const wait = this.#failures ? waitMs : Math.min(FLUSH_MS_MAX, Math.max(FLUSH_MS_MIN, waitMs));
    const due = Date.now() + wait;
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.flush(), wait);
  }

  get #sends(): boolean {
    return this.#state === 'granted' || this.#state === 'cookieless';
  }

  async #drain(): Promise<void> {
    clearTimeout(this.#timer);
    this.#due = Infinity;
    while (this.#sends) {
      const waitMs = this.#notBefore - Date.now();
      if (waitMs > 0 && this.#queue.size) return this.#schedule(waitMs);
      if (!(await this.#send(false))) return;
    }
  }

  /** Sends the oldest events; false when there are none, or when they have to be sent again. */
  async #send(last: boolean): Promise<boolean> {
    const batch = this.#queue.head(BODY_BYTES_MAX, last ? Infinity : EVENTS_MAX);
    if (this.#queue.dropped) this.say('event', `${this.#queue.dropped} were dropped: too many or too old.`);
    if (!batch.length) return false;
    const url = `${this.host}/api/v1/events/batch?application=${encodeURIComponent(this.application)}`;
    const outcome = await send(url, batch.map(({ text }) => text), last);
    if (outcome.done) {
      this.#failures = 0;
      this.#queue.remove(batch.map(({ id }) => id));
      if (outcome.problem) this.say('event', `Refused: ${outcome.problem}`);
      return true;
    }
    const { status, problem, waitMs } = outcome;
    if (waitMs) this.#notBefore = Date.now() + waitMs;
    const isRefused = status === 401 || status === 403;
    this.#schedule(Math.max(backoffMs(this.#failures++, RETRY), waitMs, isRefused ? REFUSED_MS : 0));
    if (status) this.say(status === 401 ? 'application' : status === 403 ? 'origin' : 'server', problem);
    else await this.check();
    return false;
  }

  /** The network or the page is back. */
  #resume(): void {
    this.#failures = 0;
    if (this.#queue.size) this.#schedule(FLUSH_MS_MIN);
  }

  /** The page may go away. Events on their way are sent again, because their request may be cut off. */
  #leave(): void {
    if (this.#sends && Date.now() >= this.#notBefore) this.#send(true);
  }
}
