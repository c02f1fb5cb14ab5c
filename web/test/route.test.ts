import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRoute, openedBy, parseRoute, ticketIn } from '../src/lib/route.js';

test('an address leads back to the same page and the same state of it', () => {
  const route = { path: ['gallery', 'g-1', 'order'], params: { project: 'p-1', photo: 'a b&c' } };
  assert.deepEqual(parseRoute(formatRoute(route)), route);
});

test('empty values are left out, and nothing at all is the first page', () => {
  assert.equal(formatRoute({ path: ['images'], params: { state: '' } }), '#/images');
  assert.deepEqual(parseRoute(''), { path: [], params: {} });
});

test('an address that was cut or damaged is still read', () => {
  assert.deepEqual(parseRoute('#/images/%E0%A4%A'), { path: ['images', '%E0%A4%A'], params: {} });
});

test('a ticket is read from a sign-in link and from no other address', () => {
  assert.equal(ticketIn('#ticket=abc%2Fd'), 'abc/d');
  assert.equal(ticketIn('#/gallery?project=ticket'), null);
});

test('a sign-in link opens the gallery that it names, and without one the start', () => {
  assert.equal(openedBy('#ticket=abc&p=one&g=two'), '#/gallery/two?project=one');
  assert.equal(openedBy('#ticket=abc&p=one'), '#/gallery?project=one');
  assert.equal(openedBy('#ticket=abc'), '#/');
});
