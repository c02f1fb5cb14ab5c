import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, plural, short, uuid } from '../app/format.js';

test('sizes are told in the unit that keeps them short', () => {
  const told = [0, 1, 999, 1000, 4_194_304, 12_345_678, 999_999, 50_000_000, 3_100_000_000].map(bytes);
  assert.deepEqual(told, ['0 bytes', '1 byte', '999 bytes', '1 KB', '4.2 MB', '12 MB', '1 MB', '50 MB', '3.1 GB']);
});

test('counts fit on a tile', () => {
  assert.deepEqual([0, 999, 1000, 1234, 34_567, 999_499, 999_500, 5_600_000].map(short),
    ['0', '999', '1k', '1.2k', '35k', '999k', '1M', '5.6M']);
});

test('one is not many', () => {
  assert.deepEqual([plural(0, 'photo'), plural(1, 'photo'), plural(2, 'photo')], ['0 photos', '1 photo', '2 photos']);
});

test('ids are UUIDs also where the browser has no function for them', () => {
  const whole = crypto.randomUUID;
  Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true });
  try {
    assert.match(uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.notEqual(uuid(), uuid());
  } finally {
    Object.defineProperty(crypto, 'randomUUID', { value: whole, configurable: true });
  }
});
