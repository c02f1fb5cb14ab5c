import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moves } from '../dist/shared/flip.js';

const at = (left, top, width = 100, height = 100) => ({ left, top, width, height });
const view = { top: 0, bottom: 1000 };

test('a tile that moved starts where it was, at the size it had', () => {
  const list = moves(new Map([['a', at(300, 200, 50, 200)]]), new Map([['a', at(100, 0)]]), view);
  assert.deepEqual(list, [{ id: 'a', dx: 200, dy: 200, sx: 0.5, sy: 2 }]);
});

test('a tile that stayed, is new or is gone does not move', () => {
  const before = new Map([['stays', at(0, 0)], ['gone', at(100, 0)]]);
  const after = new Map([['stays', at(0.2, 0)], ['new', at(100, 0)]]);
  assert.deepEqual(moves(before, after, view), []);
});

test('only what can be seen before or after is animated', () => {
  const before = new Map([['far', at(0, 5000)], ['comes', at(0, 5200)], ['leaves', at(0, 10)]]);
  const after = new Map([['far', at(0, 4000)], ['comes', at(0, 100)], ['leaves', at(0, 6000)]]);
  assert.deepEqual(moves(before, after, view).map(({ id }) => id), ['comes', 'leaves']);
});

test('a tile without a size yet is moved but not stretched to infinity', () => {
  const [move] = moves(new Map([['a', at(0, 0)]]), new Map([['a', at(10, 10, 0, 0)]]), view);
  assert.deepEqual([move.sx, move.sy], [1, 1]);
});
