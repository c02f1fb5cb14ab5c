import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Queue } from '../dist/queue.js';
import { timeOfUuid7, uuid7 } from '../dist/shared/uuid.js';
import { fakeStorage } from '../support/browser.js';

const ids = (queue) => queue.head(1e9, Infinity).map(({ id }) => id);

test('a UUIDv7 carries its time and sorts by it', () => {
  const [early, late] = [uuid7(1_700_000_000_000), uuid7(1_700_000_000_001)];
  assert.match(early, /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.equal(timeOfUuid7(early), 1_700_000_000_000);
  assert.ok(early < late);
  assert.notEqual(uuid7(5), uuid7(5));
});

test('two tabs share a store: each has the other’s events of before, and none is lost when one settles its own', () => {
  const store = fakeStorage();
  const [first, second] = [new Queue('e:'), new Queue('e:')];
  first.attach(store);
  const [one, two, three] = [uuid7(Date.now() - 2), uuid7(Date.now() - 1), uuid7()];
  first.add(one, '{"n":1}');
  second.attach(store);
  second.add(two, '{"n":2}');
  first.add(three, '{"n":3}');
  assert.deepEqual([ids(first), ids(second)], [[one, three], [one, two]]);
  second.remove([one, two]);
  const next = new Queue('e:');
  next.attach(store);
  assert.deepEqual(ids(next), [three]);
});

test('the events of another application and the page’s own entries are left alone', () => {
  const store = fakeStorage();
  store.setItem('cart', '3 shoes');
  store.setItem(`e:other:${uuid7()}`, '{}');
  const queue = new Queue('e:own:');
  queue.attach(store);
  queue.add(uuid7(), '{}');
  assert.equal(queue.size, 1);
  queue.erase(store);
  assert.deepEqual([store.length, store.getItem('cart')], [2, '3 shoes']);
});

test('a head is bounded by bytes as the body counts them, and by count', () => {
  const queue = new Queue('e:');
  for (let number = 0; number < 4; number++) queue.add(uuid7(), '"üü"');
  assert.equal(queue.head(13, 10).length, 1, '6 bytes and a separator each');
  assert.equal(queue.head(14, 10).length, 2);
  assert.equal(queue.head(1000, 3).length, 3);
});
