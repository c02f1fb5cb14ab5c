import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matching, writes } from '../src/lib/search.js';

const hits = ['Insight · SQL', 'Images', 'Settings · Jobs', 'Sale of images'].map((title) => ({ title, href: title }));
const titles = (typed, count = 10) => matching(hits, typed, count).map(({ title }) => title);

test('every typed word has to be in the title, in any case, and a beginning comes first', () => {
  assert.deepEqual(titles('im'), ['Images', 'Sale of images']);
  assert.deepEqual(titles('S'), ['Settings · Jobs', 'Sale of images', 'Insight · SQL', 'Images']);
  assert.deepEqual(titles('  jobs SETT '), ['Settings · Jobs']);
  assert.deepEqual(titles('nothing'), []);
  assert.equal(titles('', 2).length, 2);
});

test('a key writes in fields of text, and nowhere else', () => {
  const field = (tagName, more = {}) => writes({ tagName, ...more } as unknown as EventTarget);
  assert.deepEqual([field('INPUT', { type: 'text' }), field('TEXTAREA'), field('SELECT'), field('DIV', { isContentEditable: true })], [true, true, true, true]);
  assert.deepEqual([field('INPUT', { type: 'checkbox' }), field('BUTTON'), field('BODY'), writes(undefined)], [false, false, false, false]);
});
