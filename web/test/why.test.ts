import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyParts, whySentence } from '../src/lib/why.js';

const base = {
  strategy: 'weight', position: 3, views: 40, clicks: 2, counted_views: 30, counted_clicks: 1, guard: false, view_weight: 1,
  click_weight: 7, prior_mean: 0.05, m: 0.2, boost: 1, pin: null, score: 54, age_factor: 1,
};

test('a rule that pins has the last word', () => {
  assert.equal(whySentence({ ...base, pin: 1 }), 'A rule pins it to rank 1.');
});

test('the sentence gives the numbers that the strategy counts', () => {
  assert.equal(whySentence(base), 'It has rank 3: 40 views, and 2 clicks that count 7 times as much.');
  assert.match(whySentence({ ...base, guard: true }), /30 views, and 1 click /);
  assert.match(whySentence({ ...base, strategy: 'ctr', score: 0.06 }), /2 clicks of 40 views .* 6\s%/);
  assert.match(whySentence({ ...base, strategy: 'interest' }), /20\s%.* 5\s%/);
  assert.match(whySentence({ ...base, boost: 2 }), /multiplies its score by 2\.$/);
});

test('the parts add up to the score', () => {
  const sum = (why) => whyParts(why).reduce((total, { value }) => total + value, 0);
  assert.equal(sum(base), 54);
  assert.equal(sum({ ...base, strategy: 'interest', score: 0.3 }), 0.3);
  assert.deepEqual(whyParts({ ...base, strategy: 'random' }), []);
});
