import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiError } from '../app/api.js';

test('a refusal is told with the sentences of all its fields', () => {
  const body = { detail: 'The request is invalid.', errors: { name: ['Too long.', 'Odd.'], '': ['One of two.'] } };
  const error = apiError(400, JSON.stringify(body));
  assert.equal(error.words, 'The request is invalid. name: Too long. Odd. One of two.');
  assert.equal(error.temporary, false);
});

test('a busy server is worth another attempt, after the time it asks for', () => {
  const error = apiError(503, '{"title":"Unavailable"}', '2');
  assert.deepEqual([error.temporary, error.retryAfterMs, error.message], [true, 2000, 'Unavailable']);
});

test('an answer that is no problem document still has words', () => {
  for (const text of ['<html>Bad gateway</html>', 'null', '']) {
    assert.equal(apiError(502, text).message, 'The server answered 502.');
  }
});
