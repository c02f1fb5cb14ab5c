import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs, retryAfterMs, sleep, withRetry } from '../dist/shared/backoff.js';

const temporary = (retryMs = null) => Object.assign(new Error('busy'), { temporary: true, retryAfterMs: retryMs });

test('the pause doubles up to its bound, and chance takes at most half of it', () => {
  const most = (attempt) => backoffMs(attempt, { baseMs: 500, maxMs: 30_000, random: () => 1 });
  const least = (attempt) => backoffMs(attempt, { baseMs: 500, maxMs: 30_000, random: () => 0 });
  assert.deepEqual([0, 1, 2, 5].map(most), [500, 1000, 2000, 16_000]);
  assert.deepEqual([0, 1, 2, 5].map(least), [250, 500, 1000, 8000]);
  assert.equal(most(6), 30_000);
  assert.equal(most(5000), 30_000);
});

test('Retry-After is read as seconds and as a date, and nonsense as nothing', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(retryAfterMs('3', now), 3000);
  assert.equal(retryAfterMs('Thu, 01 Jan 2026 00:00:10 GMT', now), 10_000);
  assert.equal(retryAfterMs('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
  assert.equal(retryAfterMs('soon', now), null);
  assert.equal(retryAfterMs(null, now), null);
});

test('work is repeated after a temporary error, waiting no less than the server asked', async () => {
  const waits = [];
  let left = 3;
  const result = await withRetry(
    async () => {
      if (--left) throw temporary(7000);
      return 'sent';
    },
    { wait: async (ms) => waits.push(ms), random: () => 0 },
  );
  assert.equal(result, 'sent');
  assert.deepEqual(waits, [7000, 7000]);
});

test('work is given up after the last attempt, and at once after an error that will not pass', async () => {
  let attempts = 0;
  const failing = (error) => () => {
    attempts++;
    throw error;
  };
  await assert.rejects(withRetry(failing(temporary()), { attempts: 3, wait: async () => {} }), /busy/);
  assert.equal(attempts, 3);
  attempts = 0;
  await assert.rejects(withRetry(failing(new Error('refused')), { wait: async () => {} }), /refused/);
  assert.equal(attempts, 1);
});

test('a pause ends at once when it is aborted', async () => {
  const controller = new AbortController();
  const pause = sleep(60_000, controller.signal);
  controller.abort(new Error('stopped'));
  await assert.rejects(pause, /stopped/);
});
