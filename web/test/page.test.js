import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const WEB = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path) => readFileSync(join(WEB, path), 'utf8');
const all = (text, pattern) => [...text.matchAll(pattern)].map((match) => match[1]);

/** Every module that `path` needs, itself first. */
function modules(path, found = new Set()) {
  if (found.has(path)) return found;
  found.add(path);
  for (const target of all(read(path), /from '(\.[^']+)'/g)) {
    modules(relative(WEB, resolve(WEB, dirname(path), target)), found);
  }
  return found;
}

test('the page asks for all its modules at once, and for none in vain', () => {
  const preloaded = all(read('index.html'), /rel="modulepreload" href="\/([^"]+)"/g);
  const [, ...needed] = modules('app/main.js');
  assert.deepEqual(preloaded.sort(), needed.sort());
});

test('every element that a module looks up by id is on the page', () => {
  const ids = new Set(all(read('index.html'), /\bid="([^"]+)"/g));
  for (const path of modules('app/main.js')) {
    for (const id of all(read(path), /\$\('#([\w-]+)/g)) assert.ok(ids.has(id), `${path}: #${id}`);
    for (const id of all(read(path), /fromTemplate\('([\w-]+)'\)/g)) assert.ok(ids.has(id), `${path}: ${id}`);
  }
});

test('pages carry no inline script or style and ask nothing of other hosts', () => {
  for (const page of ['index.html', 'docs.html']) {
    const text = read(page);
    assert.deepEqual(all(text, /(<script(?![^>]*\bsrc=)[^>]*>)/g), [], page);
    assert.deepEqual(all(text, /\s((?:style|on\w+)=")/g), [], page);
    assert.deepEqual(all(text, /(?:src|href)="((?:https?:)?\/\/[^"]*)"/g), [], page);
  }
  for (const file of readdirSync(join(WEB, 'app')).filter((name) => name.endsWith('.css'))) {
    assert.deepEqual(all(read(`app/${file}`), /(?:url\(|@import)\s*["']?((?:https?:)?\/\/[^"')]*)/g), [], file);
  }
});

test('the first page has one control named upload, which takes many files', () => {
  const fields = all(read('index.html'), /(<input[^>]*name="upload"[^>]*>)/g);
  assert.equal(fields.length, 1);
  assert.match(fields[0], /type="file"[^>]* multiple/);
});

test('modules stay short', () => {
  for (const file of readdirSync(join(WEB, 'app'))) {
    const lines = read(`app/${file}`).split('\n').length;
    assert.ok(lines < 300, `${file} has ${lines} lines`);
  }
});
