import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextSince } from '../app/stream.js';

test('the number to go on from follows the messages and never falls', () => {
  assert.equal(nextSince(null, { type: 'image.state', seq: 7 }), 7);
  assert.equal(nextSince(7, { type: 'image.state', seq: 8 }), 8);
  assert.equal(nextSince(8, { type: 'image.state', seq: 5 }), 8);
});

test('a hint without a number changes nothing', () => {
  assert.equal(nextSince(8, { type: 'gallery.order' }), 8);
  assert.equal(nextSince(null, { type: 'gallery.order' }), null);
});

test('a reset says where to go on, even further back', () => {
  assert.equal(nextSince(900, { type: 'reset', seq: 12 }), 12);
});
