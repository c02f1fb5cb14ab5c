import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Debounce, keepSame, OrderedItems, unknownItems } from '../src/lib/order.js';

test('a page that repeats images after an expired cursor adds only the new ones', () => {
  const page = { items: [{ image_id: 'a' }, { image_id: 'b' }] };
  assert.deepEqual(unknownItems(new Set(['a']), page), [{ image_id: 'b' }]);
});

test('a refresh keeps the objects of items that did not change, and the list if none did', () => {
  const before = [{ image_id: 'a', weight: 1 }, { image_id: 'b', weight: 2 }];
  assert.equal(keepSame(before, structuredClone(before)), before);
  const changed = keepSame(before, [{ image_id: 'b', weight: 2 }, { image_id: 'a', weight: 9 }]);
  assert.deepEqual(changed.map(({ image_id, weight }) => [image_id, weight]), [['b', 2], ['a', 9]]);
  assert.deepEqual([changed[0] === before[1], changed[1] === before[0]], [true, false]);
  assert.equal(keepSame(before, before.slice(0, 1)).length, 1);
});

const page = (ids, next_cursor = null) => ({ items: [...ids].map((image_id) => ({ image_id })), strategy: 'weight', next_cursor });
const idsOf = ({ items }) => items.map(({ image_id }) => image_id).join('');

test('pages follow each other, and a refresh begins again at the top', async () => {
  const pages = [page('ab', 'c1'), page('bc'), page('cba', 'c2')];
  const asked = [];
  const items = new OrderedItems(async (cursor) => (asked.push(cursor), pages.shift()));
  await items.refresh();
  await items.more();
  assert.deepEqual([idsOf(items), items.hasMore], ['abc', false]);
  await items.more();
  await items.refresh();
  assert.deepEqual([idsOf(items), items.hasMore, asked], ['cba', true, [undefined, 'c1', undefined]]);
});

test('a failed request keeps what is shown and tells its error until one works', async () => {
  let fails = false;
  const items = new OrderedItems(async () => {
    if (fails) throw new Error('away');
    return page('ab');
  });
  await items.refresh();
  fails = true;
  await items.refresh();
  assert.deepEqual([idsOf(items), items.error.message], ['ab', 'away']);
  fails = false;
  await items.refresh();
  assert.equal(items.error, null);
});

test('a wish that already waits its turn is not asked twice', async () => {
  let asked = 0;
  const items = new OrderedItems(async () => (asked++, page('a')));
  await Promise.all([items.refresh(), items.refresh(), items.refresh()]);
  assert.equal(asked, 1);
});

test('many hints make one refresh, and refreshes keep their distance', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let runs = 0;
    const debounce = new Debounce(() => runs++, 1000);
    for (let hint = 0; hint < 20; hint++) debounce.poke();
    mock.timers.tick(60);
    assert.equal(runs, 1);
    debounce.poke();
    mock.timers.tick(500);
    assert.equal(runs, 1, 'the second has to wait');
    mock.timers.tick(600);
    assert.equal(runs, 2);
  } finally {
    mock.timers.reset();
  }
});

test('what is hinted while held back is made up for once, on release', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let runs = 0;
    const debounce = new Debounce(() => runs++, 1000);
    debounce.held = true;
    debounce.poke();
    debounce.poke();
    mock.timers.tick(5000);
    assert.equal(runs, 0);
    debounce.release();
    mock.timers.tick(1000);
    assert.equal(runs, 1);
    debounce.release();
    mock.timers.tick(5000);
    assert.equal(runs, 1, 'nothing was missed since');
  } finally {
    mock.timers.reset();
  }
});
