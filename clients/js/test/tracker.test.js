import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { APPLICATION, browser, fakeStorage, HOST, json } from '../support/browser.js';

let b;
beforeEach(() => {
  b = browser();
});
afterEach(() => b.end());

const away = () => new TypeError('Failed to fetch');

test('an event says all that the API requires, in a request that needs no preflight', async () => {
  const tracker = b.tracker({ visitor_id: 'v-1' });
  tracker.track('page interaction', 'pageview', { path: '/' });
  await b.pass(1100);
  const [{ url, init, events }] = b.requests;
  assert.equal(url, `${HOST}/api/v1/events/batch?application=${APPLICATION}`);
  assert.deepEqual([init.method, init.headers, init.credentials], ['POST', undefined, 'omit']);
  const [{ event_id, session_id, ...rest }] = events;
  assert.match(event_id, /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.equal(session_id, tracker.session_id);
  assert.deepEqual(rest, {
    category: 'page interaction',
    name: 'pageview',
    data: { path: '/' },
    timestamp: '2026-03-01T12:00:00.000Z',
    visitor_id: 'v-1',
  });
});

test('events wait for others between a quarter of a second and five seconds', async () => {
  for (const [flush_ms, early, late] of [
    [1, 200, 100],
    [undefined, 950, 100],
    [60_000, 4900, 150],
  ]) {
    b.requests.length = 0;
    const tracker = b.tracker({ flush_ms });
    tracker.track('a', 'one');
    tracker.track('a', 'two');
    await b.pass(early);
    assert.equal(b.requests.length, 0, `${flush_ms}: too early`);
    await b.pass(late);
    assert.deepEqual(b.requests.map(({ events }) => events.length), [2], `${flush_ms}`);
  }
});

test('many events go in requests of a bounded size, each event once', async () => {
  const tracker = b.tracker();
  for (let number = 0; number < 300; number++) tracker.track('a', 'b', { number, text: 'ü'.repeat(number * 4) });
  await tracker.flush();
  const numbers = b.events().map(({ data }) => data.number);
  assert.deepEqual(numbers, Array.from({ length: 300 }, (_, number) => number));
  for (const { init, events } of b.requests) {
    assert.ok(new TextEncoder().encode(init.body).length < 52 * 1024, `${init.body.length}`);
    assert.ok(events.length <= 50);
  }
});

test('an event is sent again under its own id until the server has answered', async () => {
  const tracker = b.tracker();
  b.answer = away;
  tracker.track('a', 'b');
  await b.pass(10_000);
  const attempts = b.requests.length;
  assert.ok(attempts >= 2 && attempts <= 8, `${attempts} attempts in 10 s`);
  b.answer = (events) => json(200, { accepted: 0, duplicates: events.length, rejected: [] });
  await b.pass(60_000);
  assert.equal(b.requests.length, attempts + 1);
  assert.equal(new Set(b.events().map(({ event_id }) => event_id)).size, 1);
});

test('an answer that is not the server’s own settles nothing', async () => {
  const tracker = b.tracker();
  tracker.track('a', 'b');
  b.answer = () => new Response('<html>Welcome to the hotel</html>');
  await tracker.flush();
  b.answer = () => json(200, { accepted: 1, duplicates: 0, rejected: [] });
  await tracker.flush();
  await tracker.flush();
  assert.equal(b.requests.length, 2);
});

test('the pause that the server asks for is kept, by calls of flush too', async () => {
  const tracker = b.tracker();
  tracker.track('a', 'b');
  b.answer = () => json(429, { detail: 'Too many.' }, { 'Retry-After': '20' });
  await tracker.flush();
  b.answer = () => json(200, { accepted: 1, duplicates: 0, rejected: [] });
  await tracker.flush();
  await b.pass(19_000);
  assert.equal(b.requests.length, 1);
  await b.pass(6_000);
  assert.equal(b.requests.length, 2);
});

test('an event that the server refuses is given up and named in debug, the others are not held up', async () => {
  const told = [];
  const tracker = b.tracker({ debug: (sentence, check) => told.push([check, sentence]) });
  tracker.track('a', 'wrong');
  b.answer = () => json(400, { accepted: 0, duplicates: 0, rejected: [{ index: 0, errors: { data: ['No.'] } }] });
  await tracker.flush();
  await tracker.flush();
  assert.equal(b.requests.length, 1);
  assert.equal(told[0][0], 'event');
  assert.match(told[0][1], /No\./);
});

test('a refusal of the application or its origin keeps the events for when it is put right', async () => {
  for (const [status, check] of [
    [401, 'application'],
    [403, 'origin'],
  ]) {
    b.requests.length = 0;
    const told = [];
    const tracker = b.tracker({ debug: (_, named) => told.push(named) });
    tracker.track('a', 'b');
    b.answer = () => json(status, { detail: 'No.' });
    await tracker.flush();
    assert.deepEqual(told, [check]);
    await b.pass(50_000);
    assert.equal(b.requests.length, 1, 'no hammering');
    b.answer = () => json(200, { accepted: 1, duplicates: 0, rejected: [] });
    await b.pass(20_000);
    assert.equal(b.requests.length, 2);
    tracker.consent('denied');
  }
});

test('what an earlier page could not send is sent by the next one', async () => {
  b.answer = away;
  const first = b.tracker();
  first.track('a', 'b', { number: 1 });
  await first.flush();
  b.answer = (events) => json(200, { accepted: events.length, duplicates: 0, rejected: [] });
  b.requests.length = 0;
  const next = b.tracker();
  assert.equal(next.session_id, first.session_id, 'a session lasts as long as its tab');
  await next.flush();
  assert.deepEqual(b.events().map(({ data }) => data.number), [1]);
  assert.equal(localStorage.length, 0, 'what is settled is not kept');
});

test('what waits is bounded by bytes and by age, and losses are told', async () => {
  b.answer = away;
  const told = [];
  const tracker = b.tracker({ debug: (sentence) => told.push(sentence) });
  for (let number = 0; number < 1000; number++) tracker.track('a', 'b', { number, text: 'x'.repeat(1000) });
  const stored = Array.from({ length: localStorage.length }, (_, index) => localStorage.getItem(localStorage.key(index)));
  assert.ok(stored.join('').length <= 512 * 1024);
  assert.ok(stored.some((text) => JSON.parse(text).data.number === 999), 'the newest stays');
  await tracker.flush();
  assert.ok(told.some((sentence) => /were dropped/.test(sentence)));
  b.requests.length = 0;
  b.answer = (events) => json(200, { accepted: events.length, duplicates: 0, rejected: [] });
  await b.pass(1000);
  const { mock } = await import('node:test');
  b.answer = away;
  mock.timers.setTime(Date.parse('2026-03-04T12:00:00Z'));
  b.answer = (events) => json(200, { accepted: events.length, duplicates: 0, rejected: [] });
  b.requests.length = 0;
  const next = b.tracker();
  await next.flush();
  assert.deepEqual(b.events(), [], 'older than two days');
  assert.equal(localStorage.length, 0);
});

test('a full storage costs no event and breaks nothing', async () => {
  globalThis.localStorage = fakeStorage(2);
  const tracker = b.tracker();
  for (let number = 0; number < 5; number++) tracker.track('a', 'b', { number });
  await tracker.flush();
  assert.equal(b.events().length, 5);
});

const stored = () => localStorage.length + sessionStorage.length;

test('consent pending: kept in memory; then granted: stored and sent, under one session', async () => {
  const tracker = b.tracker({ consent: 'pending' });
  tracker.track('a', 'b');
  await b.pass(10_000);
  await tracker.flush();
  assert.deepEqual([b.requests.length, stored(), tracker.session_id], [0, 0, null]);
  sessionStorage.setItem('eyeline.session', '0198c0de-0000-7000-8000-00000000000f');
  tracker.consent('granted');
  await b.pass(300);
  assert.deepEqual(b.events().map(({ session_id }) => session_id), ['0198c0de-0000-7000-8000-00000000000f']);
});

test('consent pending: what the visitor allowed an earlier page to store is left until the answer', async () => {
  b.answer = away;
  b.tracker().track('a', 'b');
  b.answer = (events) => json(200, { accepted: events.length, duplicates: 0, rejected: [] });
  const next = b.tracker({ consent: 'pending' });
  assert.equal(localStorage.length, 1);
  next.consent('granted');
  await next.flush();
  assert.equal(b.events().length, 1);
});

test('consent denied: nothing is stored or sent, and what was stored is deleted', async () => {
  b.answer = away;
  const tracker = b.tracker();
  tracker.track('a', 'b');
  await tracker.flush();
  b.requests.length = 0;
  assert.ok(stored() > 0);
  tracker.consent('denied');
  tracker.track('a', 'c');
  await b.pass(120_000);
  await tracker.flush();
  assert.deepEqual([b.requests.length, stored(), tracker.session_id], [0, 0, null]);
});

test('consent denied deletes what other tabs have stored', () => {
  b.answer = away;
  b.tracker().track('a', 'b');
  b.tracker({ consent: 'denied' });
  assert.equal(stored(), 0);
});

test('consent cookieless: sent, and nothing stored', async () => {
  const tracker = b.tracker({ consent: 'cookieless' });
  tracker.track('a', 'b');
  assert.equal(stored(), 0);
  await tracker.flush();
  assert.deepEqual(b.events().map(({ session_id }) => session_id), [tracker.session_id]);
  assert.equal(stored(), 0);
});

test('Global Privacy Control begins with denied, until the page says otherwise', async () => {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', { value: { globalPrivacyControl: true }, configurable: true });
  try {
    const told = [];
    const tracker = b.tracker({ consent: 'granted', debug: (_, check) => told.push(check) });
    tracker.configure({ application: APPLICATION, consent: 'granted' });
    tracker.track('a', 'b');
    await tracker.flush();
    assert.deepEqual([b.requests.length, stored(), told], [0, 0, ['consent']]);
    tracker.consent('granted');
    tracker.track('a', 'b');
    await tracker.flush();
    assert.equal(b.events().length, 1);
  } finally {
    if (before) Object.defineProperty(globalThis, 'navigator', before);
    else delete globalThis.navigator;
  }
});

test('before_send changes an event or drops it; its mistakes do not reach the page', async () => {
  const told = [];
  const tracker = b.tracker({
    debug: (sentence, check) => told.push(`${check}: ${sentence}`),
    before_send(event) {
      if (event.name === 'drop') return null;
      if (event.name === 'break') throw new Error('oops');
      return { ...event, data: { ...event.data, seen: true } };
    },
  });
  for (const name of ['keep', 'drop', 'break']) tracker.track('a', name);
  assert.equal(localStorage.length, 1, 'what is dropped is not stored either');
  await tracker.flush();
  assert.deepEqual(b.events().map(({ name, data }) => [name, data]), [['keep', { seen: true }]]);
  assert.match(told.join(), /event: .*oops/);
});

test('what is no event is named and breaks nothing', async () => {
  const told = [];
  const tracker = b.tracker({ debug: (sentence) => told.push(sentence) });
  const loop = {};
  loop.loop = loop;
  tracker.track('', 'b');
  tracker.track('a', 'x'.repeat(201));
  tracker.track('a', 'b', loop);
  tracker.track('a', 'b', { text: 'x'.repeat(60_000) });
  await tracker.flush();
  assert.deepEqual([told.length, b.requests.length], [4, 0]);
});

test('an id that is none of an application is named at the start, and nothing is sent', async () => {
  const told = [];
  const tracker = b.tracker({ application: 'my-shop', debug: (sentence, check) => told.push([check, sentence]) });
  assert.equal(told[0][0], 'application');
  assert.match(told[0][1], /my-shop/);
});

test('debug names the first check that fails', async () => {
  const online = (value) =>
    Object.defineProperty(globalThis, 'navigator', { value: { onLine: value }, configurable: true });
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  globalThis.location = { origin: 'https://shop.example' };
  const { diagnose } = await import('../dist/diagnose.js');
  const reachable = new Set();
  const { mock } = await import('node:test');
  mock.method(globalThis, 'fetch', async (url) => {
    if (!reachable.has(new URL(url).pathname)) throw away();
    return new Response('');
  });
  const check = async () => (await diagnose(HOST, APPLICATION))[0];
  try {
    online(false);
    assert.equal(await check(), 'offline');
    online(true);
    assert.equal(await check(), 'server');
    reachable.add('/eyeline.js');
    assert.equal(await check(), 'origin');
    reachable.add('/healthz');
    assert.equal(await check(), 'application');
  } finally {
    delete globalThis.location;
    if (before) Object.defineProperty(globalThis, 'navigator', before);
    else delete globalThis.navigator;
  }
});
