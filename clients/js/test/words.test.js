import assert from 'node:assert/strict';
import { test } from 'node:test';
import { webAddress } from '../dist/dom.js';
import { wordsFor } from '../dist/words.js';

test('only addresses of the web become links', () => {
  assert.equal(webAddress('https://shop.example/p/1'), 'https://shop.example/p/1');
  for (const link of ['javascript:alert(1)', ' javascript:alert(1)', 'data:text/html,x', '//shop.example', '', null]) {
    assert.equal(webAddress(link), null);
  }
});

test('every language has every word, and an unknown one is answered in English', () => {
  const english = wordsFor('en');
  for (const tag of ['ar', 'de-AT', 'es', 'fr', 'he', 'it', 'ja', 'nl', 'pl', 'pt-BR', 'zh-Hant']) {
    const words = Object.values(wordsFor(tag));
    assert.ok(words.length === Object.keys(english).length && words.every(Boolean), tag);
    assert.notDeepEqual(words, Object.values(english), tag);
  }
  assert.deepEqual(wordsFor('tlh'), english);
});
