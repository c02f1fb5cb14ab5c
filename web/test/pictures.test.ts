import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aspectOf, select, stepTo, withoutQuery } from '../src/lib/pictures.js';

test('a tile has the photo’s shape within bounds, and is square when the shape is unknown', () => {
  assert.equal(aspectOf({ width: 4000, height: 3000 }), 4 / 3);
  assert.equal(aspectOf({ width: 10_000, height: 100 }), 3);
  assert.equal(aspectOf({ width: 100, height: 10_000 }), 0.5);
  assert.equal(aspectOf({ width: null, height: null }), 1);
});

test('a fresh signature on the same bytes is the same address', () => {
  assert.equal(withoutQuery('/a.jpg?sig=1 150w, /b.jpg?sig=1 700w'), withoutQuery('/a.jpg?sig=2 150w, /b.jpg?sig=2 700w'));
  assert.notEqual(withoutQuery('/a.jpg?sig=1'), withoutQuery('/c.jpg?sig=1'));
  assert.equal(withoutQuery(null), withoutQuery(undefined));
});

/** Rows of three boxes, each 100 by 100 with a gap of 10. */
const rows = (count) => Array.from({ length: count }, (_, at) => ({ left: (at % 3) * 110, top: Math.floor(at / 3) * 110, width: 100, height: 100 }));

test('arrows walk along rows, up and down to the nearest box, and stop at the ends', () => {
  const boxes = rows(8);
  assert.deepEqual(['ArrowRight', 'ArrowLeft', 'ArrowDown', 'ArrowUp', 'Home', 'End'].map((key) => stepTo(key, 4, boxes)), [5, 3, 7, 1, 0, 7]);
  assert.deepEqual([stepTo('ArrowUp', 1, boxes), stepTo('ArrowLeft', 0, boxes), stepTo('ArrowDown', 5, boxes)], [1, 0, 7]);
  assert.equal(stepTo('a', 4, boxes), null);
});

test('a click selects one, again frees it, and with shift takes all between', () => {
  const ids = ['a', 'b', 'c', 'd'];
  const one = select(new Set(), ids, 1, null, false);
  assert.deepEqual([...one], ['b']);
  assert.deepEqual([...select(one, ids, 3, 1, true)], ['b', 'c', 'd']);
  assert.deepEqual([...select(one, ids, 0, 1, true)].sort(), ['a', 'b']);
  assert.deepEqual([...select(one, ids, 1, 1, false)], []);
});
