import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiError, atOrigin } from '../src/api/http.js';

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

test('opened at another address, the page finds every picture at that address', () => {
  const here = 'http://192.168.1.5:8009';
  const read = (value) => JSON.parse(JSON.stringify(value), atOrigin('http://localhost:8009', here));
  const path = '/api/v1/versions/a/thumb.jpg?signature=1,2';
  assert.equal(read({ preview: `http://localhost:8009${path}` }).preview, here + path);
  assert.equal(
    read({ srcset: `http://localhost:8009${path} 150w, http://localhost:8009/b 700w` }).srcset,
    `${here}${path} 150w, ${here}/b 700w`,
  );
  for (const other of ['https://shop.example/1.jpg', 'http://localhost:80091/a', 'see http://localhost:8009/a', 5, null]) {
    assert.deepEqual(read({ other }), { other });
  }
});
