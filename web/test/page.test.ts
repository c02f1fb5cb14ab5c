import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const WEB = join(import.meta.dirname ?? '.', '..');
const read = (path) => readFileSync(join(WEB, path), 'utf8');
const all = (text, pattern) => [...text.matchAll(pattern)].map((match) => match[1]);
const files = (folder) => readdirSync(join(WEB, folder), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile()).map((entry) => join(entry.path ?? entry.parentPath, entry.name));

/** Bytes of the first load with gzip -9. */
const FIRST_LOAD_MAX = 100_000;
const LINES_MAX = 500;

test('pages carry no inline script or style and ask nothing of other hosts', () => {
  for (const page of ['index.html', 'docs.html']) {
    const text = read(page);
    assert.deepEqual(all(text, /(<script(?![^>]*\bsrc=)[^>]*>)/g), [], page);
    assert.deepEqual(all(text, /\s((?:style|on\w+)=")/g), [], page);
    assert.deepEqual(all(text, /(?:src|href)="((?:https?:)?\/\/[^"]*)"/g), [], page);
  }
  for (const path of files('src').filter((path) => path.endsWith('.css'))) {
    assert.deepEqual(all(readFileSync(path, 'utf8'), /(?:url\(|@import)\s*["']?((?:https?:)?\/\/[^"')]*)/g), [], path);
  }
});

test('the first page has one control named upload, which takes many files', () => {
  const fields = all(read('index.html'), /(<input[^>]*name="upload"[^>]*>)/g);
  assert.equal(fields.length, 1);
  assert.match(fields[0], /type="file"[^>]* multiple/);
});

test('the first load stays small', () => {
  const { script, style, preloads } = JSON.parse(read('bundle/manifest.json'));
  const bytes = [script, style, ...preloads].map((name) => gzipSync(read(`bundle/${name}`), { level: 9 }).length);
  const sum = bytes.reduce((total, each) => total + each, gzipSync(read('index.html'), { level: 9 }).length);
  assert.ok(sum <= FIRST_LOAD_MAX, `${sum} bytes compressed, at most ${FIRST_LOAD_MAX}`);
});

test('modules stay short, and sentences stand in the words of a language', () => {
  for (const path of files('src').filter((path) => !path.endsWith('schema.ts'))) {
    const text = readFileSync(path, 'utf8');
    assert.ok(text.split('\n').length <= LINES_MAX, `${path} is over ${LINES_MAX} lines`);
    if (path.endsWith('.tsx')) assert.deepEqual(all(text, />\s*([A-Z][a-z]+ [a-z][^<>{}]*)</g), [], path);
  }
});
