import assert from 'node:assert/strict';
import { test } from 'node:test';
import { galleryEvent, ownApplication, sessionId } from '../app/tracker.js';

const ORIGIN = 'http://localhost:8009';

test('an event says all that the API requires, under an id of its own', () => {
  const place = { galleryId: 'g', imageId: 'i', position: 3, orderId: 'o' };
  const event = galleryEvent('view', place, 's', new Date('2026-01-02T03:04:05.678Z'));
  const { event_id: id, ...rest } = event;
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.deepEqual(rest, {
    session_id: 's',
    category: 'gallery',
    name: 'view',
    data: { gallery_id: 'g', image_id: 'i', position: 3, order_id: 'o' },
    timestamp: '2026-01-02T03:04:05.678Z',
  });
});

test('a session lasts as long as its tab', () => {
  const store = new Map();
  const storage = { getItem: (key) => store.get(key) ?? null, setItem: (key, value) => store.set(key, value) };
  assert.equal(sessionId(storage), sessionId(storage));
  store.clear();
  assert.match(sessionId(storage), /^[0-9a-f-]{36}$/);
});

/** A client whose applications come in pages of one. */
function clientWith(applications) {
  const calls = [];
  return {
    calls,
    async applications(projectId, cursor) {
      const index = Number(cursor ?? 0);
      const more = index + 1 < applications.length;
      return { applications: applications.slice(index, index + 1), next_cursor: more ? String(index + 1) : null };
    },
    async allowOrigins(id, origins) {
      calls.push(['allow', id, origins]);
    },
    async createApplication(projectId, name, origins) {
      calls.push(['create', projectId, name, origins]);
      return { application_id: 'made' };
    },
  };
}

test('the page makes its application once and finds it again, on any page of the list', async () => {
  const none = clientWith([]);
  assert.equal(await ownApplication('p', ORIGIN, none), 'made');
  assert.deepEqual(none.calls, [['create', 'p', 'Eyeline web', [ORIGIN]]]);
  const second = clientWith([
    { application_id: 'a', name: 'Shop', allowed_origins: [] },
    { application_id: 'b', name: 'Eyeline web', allowed_origins: [ORIGIN] },
  ]);
  assert.equal(await ownApplication('p', ORIGIN, second), 'b');
  assert.deepEqual(second.calls, []);
});

test('opened under another address, the page allows that address too', async () => {
  const client = clientWith([{ application_id: 'b', name: 'Eyeline web', allowed_origins: [ORIGIN] }]);
  await ownApplication('p', 'http://192.0.2.7:8009', client);
  assert.deepEqual(client.calls, [['allow', 'b', [ORIGIN, 'http://192.0.2.7:8009']]]);
});
