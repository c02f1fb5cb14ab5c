import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moved } from '../src/lib/arrange.js';

test('an entry moves to its new place, and the others keep their order', () => {
  const list = ['a', 'b', 'c', 'd'];
  const results = [[0, 2], [3, 0], [1, 9], [2, -1], [7, 0], [1, 1]].map(([from, to]) => moved(list, from!, to!).join(''));
  assert.deepEqual(results, ['bcad', 'dabc', 'acdb', 'cabd', 'abcd', 'abcd']);
  assert.deepEqual(list, ['a', 'b', 'c', 'd']);
});
