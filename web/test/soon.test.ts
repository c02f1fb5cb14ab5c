import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soon } from '../src/lib/soon.js';

const busy = (milliseconds) => {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
};

test('work that can wait keeps its order and lets other tasks run between', async () => {
  const done = [];
  for (let at = 0; at < 4; at++) soon(() => (busy(5), done.push(at)));
  assert.deepEqual(done, [], 'nothing runs in the task that asks for it');
  const seen = [];
  while (done.length < 4) {
    seen.push(done.length);
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert.deepEqual(done, [0, 1, 2, 3]);
  assert.ok(seen.length > 2, `another task ran ${seen.length} times`);
});
