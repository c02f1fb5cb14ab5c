import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inParallel } from '../src/lib/parallel.js';

test('every entry is worked on, at most so many at a time', async () => {
  const done = [];
  let running = 0;
  let most = 0;
  await inParallel(3, [1, 2, 3, 4, 5, 6, 7], async (entry) => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running--;
    done.push(entry);
  });
  assert.deepEqual([done.length, most], [7, 3]);
});

test('after an error nothing further begins, and the error is told', async () => {
  let begun = 0;
  const work = async () => {
    begun++;
    throw new Error('no');
  };
  await assert.rejects(inParallel(2, [1, 2, 3, 4], work), /no/);
  assert.equal(begun, 2);
});
