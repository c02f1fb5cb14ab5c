import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, bytes, change, percent, plural, short, typeNames, wholeUnits } from '../src/lib/format.js';

test('sizes are told in the unit that keeps them short', () => {
  const told = [0, 1, 999, 1000, 4_194_304, 12_345_678, 999_999, 50_000_000, 3_100_000_000].map(bytes);
  assert.deepEqual(told, ['0 bytes', '1 byte', '999 bytes', '1 KB', '4.2 MB', '12 MB', '1 MB', '50 MB', '3.1 GB']);
});

test('limits are told as they are set, and formats by their names', () => {
  assert.deepEqual([wholeUnits(52_428_800), wholeUnits(1_500_000), wholeUnits(0)], ['50 MiB', '1.5 MB', '0 bytes']);
  assert.equal(typeNames(['image/jpeg', 'image/webp', 'image/heic', 'image/heic-sequence']), 'JPEG, WebP, HEIC');
});

test('counts fit on a tile', () => {
  assert.deepEqual([0, 999, 1000, 1234, 34_567, 999_499, 999_500, 5_600_000].map(short),
    ['0', '999', '1k', '1.2k', '35k', '999k', '1M', '5.6M']);
});

test('one is not many', () => {
  assert.deepEqual([plural(0, 'photo'), plural(1, 'photo'), plural(2, 'photo')], ['0 photos', '1 photo', '2 photos']);
});

test('shares and changes have a sign and no needless digits', () => {
  assert.deepEqual([percent(0.123), percent(0.0412), percent(0)], ['12\u00a0%', '4.1\u00a0%', '0\u00a0%']);
  assert.deepEqual([change(0.12), change(-0.055), change(0)], ['+12\u00a0%', '-5.5\u00a0%', '0\u00a0%']);
});

test('times are told by their distance, and by their date after a week', () => {
  const now = Date.parse('2026-03-10T12:00:00Z');
  assert.deepEqual(['2026-03-10T11:57:00Z', '2026-03-10T10:00:00Z', '2026-03-09T12:00:00Z'].map((at) => ago(at, now)),
    ['3 minutes ago', '2 hours ago', 'yesterday']);
  assert.match(ago('2026-02-01T12:00:00Z', now), /2026/);
});
