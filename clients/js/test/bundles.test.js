import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bundles, EMBEDDED } from '../build.js';

/** Bytes with gzip -9. */
const LIMITS = { 'eyeline.js': 4000, 'eyeline-gallery.js': 12_000 };

test('the embedded files are what the sources build, and within their sizes', async () => {
  const built = await bundles();
  assert.deepEqual([...built.keys()], Object.keys(LIMITS));
  for (const [name, text] of built) {
    const same = readFileSync(join(EMBEDDED, name), 'utf8') === text;
    assert.ok(same, `run \`npm run build\` and commit web/dist/${name}`);
    const size = gzipSync(text, { level: 9 }).length;
    assert.ok(size <= LIMITS[name], `${name}: ${size} bytes compressed, at most ${LIMITS[name]}`);
  }
});

test('the tracker knows nothing but the reception of events', async () => {
  const text = (await bundles()).get('eyeline.js');
  const paths = text.match(/\/(api\/[\w/]+)/g);
  assert.deepEqual(new Set(paths), new Set(['/api/v1/events/batch']));
});

test('the package can be imported where there is no browser, and does nothing there', async () => {
  const { createTracker } = await import('../dist/index.js');
  await import('../dist/gallery.js');
  assert.equal(typeof createTracker, 'function');
  assert.equal(globalThis.eyeline, undefined);
});
