/** The tracker as a package. Importing it does nothing; `createTracker` begins. */

import { Tracker, type TrackerOptions } from './tracker.js';

export type { Check } from './diagnose.js';
export type { Consent, TrackedEvent, Tracker, TrackerOptions } from './tracker.js';
export type { Place } from './watch.js';

/** Set by the build of `/eyeline.js` to the script's own address. */
declare const SCRIPT_URL: string | undefined;

const trackers = new Map<string, Tracker>();

/**
 * Returns the tracker of an application. A page has one tracker for each application: the element and every call share
 * it, so that the visitor's consent holds for all of them. A later call applies its options to it.
 */
export function createTracker(options: TrackerOptions): Tracker {
  const home = typeof SCRIPT_URL === 'string' ? new URL('.', SCRIPT_URL).href : globalThis.location?.origin;
  const host = (options.host ?? home ?? '').replace(/\/+$/, '');
  const key = `${host} ${options.application}`;
  let tracker = trackers.get(key);
  if (tracker) tracker.configure(options);
  else trackers.set(key, (tracker = new Tracker(host, options)));
  return tracker;
}
