import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginOf, bucketsOf, countsIn, withMissing } from '../src/lib/buckets.js';

const iso = (times) => times.map((at) => new Date(at).toISOString());
const HOUR = 3_600_000;

test('a day begins by the clocks of its zone, before and after they change', () => {
  assert.deepEqual(iso(['2026-03-28', '2026-03-29', '2026-03-30'].map((day) => beginOf(day, 'Europe/Berlin'))),
    ['2026-03-27T23:00:00.000Z', '2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z']);
  assert.deepEqual(iso([beginOf('2026-11-02', 'America/New_York'), beginOf('2026-07-01', 'Asia/Kolkata')]),
    ['2026-11-02T05:00:00.000Z', '2026-06-30T18:30:00.000Z']);
});

test('every hour, day and week of a span is a bucket, as far as it has begun', () => {
  const now = Date.parse('2026-03-31T10:30:00Z');
  const days = bucketsOf({ from: '2026-03-28', to: '2026-04-05' }, 'day', 'Europe/Berlin', now);
  assert.deepEqual([days.length, (days[2] - days[1]) / HOUR], [4, 23]);
  assert.equal(bucketsOf({ from: '2026-03-29', to: '2026-03-30' }, 'hour', 'Europe/Berlin', now).length, 23);
  assert.equal(bucketsOf({ from: '2026-03-31', to: '2026-04-01' }, 'hour', 'UTC', now).length, 11);
  assert.deepEqual(iso(bucketsOf({ from: '2026-03-04', to: '2026-03-17' }, 'week', 'UTC', now)),
    ['2026-03-02T00:00:00.000Z', '2026-03-09T00:00:00.000Z', '2026-03-16T00:00:00.000Z']);
});

test('a bucket without counts has zero', () => {
  assert.deepEqual(countsIn([100, 200, 300], [[100, 5], [300, 1], [350, 2], [50, 9]]), [5, 0, 3]);
  assert.deepEqual(countsIn([], [[1, 1]]), []);
});

test('missing hours and days are found between the times of an answer', () => {
  const at = (...texts) => texts.map((text) => Date.parse(text));
  assert.deepEqual(iso(withMissing(at('2026-01-01T01:00Z', '2026-01-01T02:00Z', '2026-01-01T05:00Z'))).map((text) => text.slice(11, 13)),
    ['01', '02', '03', '04', '05']);
  const days = withMissing(['2026-03-27', '2026-03-28', '2026-03-31'].map((day) => beginOf(day, 'Europe/Berlin')));
  assert.equal(days.length, 5);
  const uneven = at('2026-01-01T01:00:00Z', '2026-01-01T01:00:17Z', '2026-01-01T09:00:00Z');
  assert.deepEqual(withMissing(uneven), uneven);
  const long = at('2020-01-01T00:00Z', '2020-01-01T00:01Z', '2026-01-01T00:00Z');
  assert.deepEqual(withMissing(long), long, 'a gap of millions of minutes stays');
  assert.deepEqual([withMissing([]), withMissing([5])], [[], [5]]);
});
