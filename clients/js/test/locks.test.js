import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const OTHERS = ['node_modules', 'target', 'data', '.git'];

/** The paths of all lock files of npm in the repository. */
function locks(folder = ROOT) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return OTHERS.includes(entry.name) ? [] : locks(path);
    return entry.name === 'package-lock.json' ? [path] : [];
  });
}

test('lock files name no host of a registry, and npm is told to keep it so', () => {
  const found = locks();
  assert.ok(found.length >= 3, `${found}`);
  for (const path of found) {
    assert.doesNotMatch(readFileSync(path, 'utf8'), /"resolved": "https?:/, path);
    assert.match(readFileSync(join(dirname(path), '.npmrc'), 'utf8'), /^omit-lockfile-registry-resolved=true$/m, path);
  }
});
