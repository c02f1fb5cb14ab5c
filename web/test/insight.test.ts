import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curlOf } from '../src/lib/curl.js';
import { bestAndWorst, changeOf, csv, flowOf, stepOf } from '../src/lib/insight.js';
import { addDays, daysOf, intervalOf, spanBefore, spanOf, today } from '../src/lib/range.js';

const row = (image_id, views, clicks) => ({ image_id, views, clicks });

test('a picture with a single lucky click does not lead, and none is both best and worst', () => {
  const rows = [row('lucky', 1, 1), row('good', 200, 60), row('bad', 200, 2), row('unseen', 0, 0), row(null, 90, 90)];
  const { best, worst } = bestAndWorst(rows, 5);
  assert.equal(best[0].image_id, 'good');
  assert.equal(worst[0].image_id, 'bad');
  assert.deepEqual(best.filter((each) => worst.includes(each)), []);
  assert.deepEqual(bestAndWorst([], 5), { best: [], worst: [] });
});

test('a change needs a before', () => {
  assert.deepEqual([changeOf(12, 10), changeOf(5, 10), changeOf(5, 0), changeOf(null, 5)].map((each) => each && each.toFixed(2)), ['0.20', '-0.50', null, null]);
});

test('a CSV keeps every value whole, and gives a spreadsheet no formula to run', () => {
  const rows = [{ a: 'x,"y"', b: null }, { a: '=HYPERLINK(1)', b: -5 }, { a: 'two\nlines', b: { c: 1 } }];
  assert.equal(csv(['a', 'b'], rows), 'a,b\r\n"x,""y""",\r\n\'=HYPERLINK(1),-5\r\n"two\nlines","{""c"":1}"');
});

test('names with the separators of a step are escaped', () => {
  assert.equal(stepOf({ category: 'a/b', name: 'c,d\\e' }), 'a\\/b/c\\,d\\\\e');
});

test('paths that share steps share their links, and a path through the same type twice is no circle', () => {
  const type = (name) => ({ category: 'shop', name });
  const { nodes, links } = flowOf([
    { steps: [type('cart'), type('pay'), type('cart')], count: 5 },
    { steps: [type('cart'), type('pay'), type('home')], count: 3 },
  ]);
  assert.deepEqual(nodes.map(({ step, title }) => `${step} ${title}`), ['0 shop / cart', '1 shop / pay', '2 shop / cart', '2 shop / home']);
  assert.deepEqual(links.map(({ value }) => value), [8, 5, 3]);
});

test('a span ends with today by the clocks of its zone, and the one before ends where it begins', () => {
  const now = new Date('2026-03-10T23:30:00Z');
  assert.deepEqual([today('UTC', now), today('Europe/Berlin', now)], ['2026-03-10', '2026-03-11']);
  const span = spanOf(7, 'UTC', { from: null, to: null }, now);
  assert.deepEqual([span, spanBefore(span), daysOf(span)], [{ from: '2026-03-04', to: '2026-03-11' }, { from: '2026-02-25', to: '2026-03-04' }, 7]);
  assert.deepEqual(spanOf(7, 'UTC', { from: '2026-01-01', to: '2026-01-31' }, now), { from: '2026-01-01', to: '2026-02-01' });
  assert.deepEqual(spanOf(7, 'UTC', { from: '2026-01-31', to: '2026-01-01' }, now), span, 'ends in the wrong order are ignored');
  assert.deepEqual([addDays('2026-02-28', 1), addDays('2026-01-01', -1)], ['2026-03-01', '2025-12-31']);
  assert.deepEqual([1, 7, 365].map((days) => intervalOf({ from: '2025-01-01', to: addDays('2025-01-01', days) })), ['hour', 'day', 'week']);
});

test('a command survives quotes in the data', () => {
  const event = { application: 'a', session_id: 's', category: 'c', name: 'n', data: { text: "it's" }, timestamp: 't' };
  assert.match(curlOf('http://host', event), /it'\\''s/);
});
