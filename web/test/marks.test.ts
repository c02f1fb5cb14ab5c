import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeMarks, marksWithin, ruleMarks, uploadMarks } from '../src/lib/marks.js';
import { QUESTIONS_MAX, readQuestions, withQuestion } from '../src/lib/questions.js';

test('images added on one day of the zone are one mark, at the first of them', () => {
  const created = ['2026-03-02T23:30:00Z', '2026-03-02T08:00:00Z', '2026-03-01T23:30:00Z'];
  assert.deepEqual(uploadMarks(created, false, 'UTC').map(({ at, text }) => [at, text]), [
    ['2026-03-01T23:30:00Z', '1 image added'], ['2026-03-02T08:00:00Z', '2 images added'],
  ]);
  assert.deepEqual(uploadMarks(created, true, 'Europe/Berlin').map(({ text }) => text), ['2 or more images added', '1 image added']);
});

test('a rule marks its beginning and its end; a rule without times marks nothing', () => {
  const marks = ruleMarks([{ rule: { from: '2026-03-01T00:00:00Z', until: '2026-03-05T00:00:00Z' }, does: 'Hide' }, { rule: {}, does: 'Pin' }]);
  assert.deepEqual(marks.map(({ text }) => text), ['Rule begins: Hide', 'Rule ends: Hide']);
  const within = (from, to, zone = 'UTC') => marksWithin(marks, { from, to }, zone).map(({ text }) => text);
  assert.deepEqual(within('2026-03-02', '2026-03-06'), ['Rule ends: Hide']);
  assert.deepEqual(within('2026-03-01', '2026-03-05'), ['Rule begins: Hide']);
  assert.deepEqual(within('2026-02-28', '2026-03-01', 'America/New_York'), ['Rule begins: Hide']);
});

test('a change of the ranking says what changed; the rules set on one day are one mark', () => {
  const before = { strategy: 'weight', view_weight: 1, click_weight: 7, half_life: null, guard: false, holdout_percent: 0, holdout_control: 'newest' };
  const ranking = (changed_at, after) => ({ changed_at, ranking: { before, after: { ...before, ...after } }, rules: null });
  const rules = (changed_at, added, removed) => ({ changed_at, ranking: null, rules: { added, removed } });
  const changes = [
    rules('2026-03-02T23:30:00Z', 0, 3), rules('2026-03-02T12:00:00Z', 0, 1), rules('2026-03-02T10:00:00Z', 2, 0),
    ranking('2026-03-02T09:00:00Z', { holdout_percent: 10 }),
    ranking('2026-03-01T09:00:00Z', { strategy: 'interest', half_life: 1, guard: true }),
    ranking('2026-03-01T08:00:00Z', { click_weight: 3 }),
  ];
  assert.deepEqual(changeMarks(changes, 'Europe/Berlin').map(({ at, text }) => [at.slice(8, 13), text]), [
    ['02T09', 'Hold-out: 10\u00a0% of visitors'], ['01T09', 'Strategy: Interest, Half-life: 1 day, Guard on'], ['01T08', 'Weights: 1 a view, 3 a click'],
    ['02T10', '2 rules added, 1 rule removed'], ['02T23', '3 rules removed'],
  ]);
});

test('stored questions are read as far as they are some, and one of a name replaces another', () => {
  assert.deepEqual([readQuestions(null), readQuestions('{'), readQuestions('{"name": 1}')], [[], [], []]);
  const question = (name, query = 'SELECT 1') => ({ name, query, isPinned: false });
  assert.deepEqual(readQuestions(JSON.stringify([question('a'), { name: 'b' }, null, question('')])), [question('a')]);
  let list = [];
  for (let at = 0; at < QUESTIONS_MAX + 5; at++) list = withQuestion(list, question(`q${at}`));
  assert.deepEqual([list.length, list[0].name], [QUESTIONS_MAX, `q${QUESTIONS_MAX + 4}`]);
  list = withQuestion(list, question('q20', 'SELECT 2'));
  assert.deepEqual(list.filter(({ name }) => name === 'q20').map(({ query }) => query), ['SELECT 2']);
});
