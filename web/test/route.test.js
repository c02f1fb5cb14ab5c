import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRoute, parseRoute } from '../app/route.js';

test('an address leads back to the same project, gallery and order', () => {
  const route = { project: 'p-1', gallery: 'g-1', order: 'newest' };
  assert.deepEqual(parseRoute(formatRoute(route)), { ...route, ticket: null });
});

test('a ticket is read from the address and never written into it', () => {
  const route = parseRoute('#ticket=abc%2Fd&p=p-1');
  assert.equal(route.ticket, 'abc/d');
  assert.equal(formatRoute(route), '#p=p-1');
});

test('nothing open is no hash at all', () => {
  assert.equal(formatRoute(parseRoute('')), '');
});
