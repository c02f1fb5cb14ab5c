/** What the tracker finds in a browser, for tests without one. */

import { mock } from 'node:test';
import { Tracker } from '../dist/tracker.js';

export const APPLICATION = '0198c0de-0000-7000-8000-000000000001';
export const HOST = 'https://eyeline.example';

/** A storage as the browser has it. `room`: the most entries. */
export function fakeStorage(room = Infinity) {
  const entries = new Map();
  return {
    get length() {
      return entries.size;
    },
    key: (index) => [...entries.keys()][index] ?? null,
    getItem: (name) => entries.get(name) ?? null,
    setItem(name, value) {
      if (!entries.has(name) && entries.size >= room) throw new Error('QuotaExceededError');
      entries.set(name, value);
    },
    removeItem: (name) => void entries.delete(name),
  };
}

/** Replaces the clock, the storages and the network until `end()`. */
export function browser() {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2026-03-01T12:00:00Z') });
  const requests = [];
  const given = {
    requests,
    /** What the network does with the next request: an answer, or an error to throw. */
    answer: (texts) => json(200, { accepted: texts.length, duplicates: 0, rejected: [] }),
    /** The events of all requests. */
    events: () => requests.flatMap(({ events }) => events),
    tracker: (options = {}) => new Tracker(HOST, { application: APPLICATION, ...options }),
    /** Lets time pass, and promises with it. */
    async pass(ms) {
      for (let left = ms; left > 0; left -= 50) {
        mock.timers.tick(Math.min(50, left));
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    end() {
      mock.timers.reset();
      mock.restoreAll();
      delete globalThis.localStorage;
      delete globalThis.sessionStorage;
    },
  };
  globalThis.localStorage = fakeStorage();
  globalThis.sessionStorage = fakeStorage();
  mock.method(globalThis, 'fetch', async (url, init) => {
    const events = JSON.parse(init.body);
    requests.push({ url, init, events });
    const answer = given.answer(events);
    if (answer instanceof Error) throw answer;
    return answer;
  });
  return given;
}

export const json = (status, body, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ...headers } });
