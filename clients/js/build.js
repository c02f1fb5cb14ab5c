/**
 * Builds the files that the server embeds (`web/dist`); with `--package`, checks the types and builds the npm package
 * (`dist`).
 */

import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const HERE = dirname(fileURLToPath(import.meta.url));

/** Where the server takes the files from. */
export const EMBEDDED = join(HERE, '../../web/dist');

const COMMON = {
  absWorkingDir: HERE,
  bundle: true,
  format: 'esm',
  target: ['chrome111', 'firefox115', 'safari16.4'],
  minify: true,
  legalComments: 'none',
  define: { SCRIPT_URL: 'import.meta.url' },
  write: false,
};

/** The gallery takes the tracker from the other file, so that a page has one of it. */
const oneTracker = {
  name: 'one-tracker',
  setup: ({ onResolve }) => onResolve({ filter: /^\.\/index\.js$/ }, () => ({ path: './eyeline.js', external: true })),
};

/** The built files, as a map from name to text. */
export async function bundles() {
  const [tracker, gallery] = await Promise.all([
    build({ ...COMMON, entryPoints: ['src/browser.ts'] }),
    build({ ...COMMON, entryPoints: ['src/gallery.ts'], plugins: [oneTracker] }),
  ]);
  return new Map([
    ['eyeline.js', tracker.outputFiles[0].text],
    ['eyeline-gallery.js', gallery.outputFiles[0].text],
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--package')) {
    rmSync(join(HERE, 'dist'), { recursive: true, force: true });
    execFileSync(process.execPath, [join(HERE, 'node_modules/typescript/bin/tsc')], { cwd: HERE, stdio: 'inherit' });
  } else {
    for (const [name, text] of await bundles()) writeFileSync(join(EMBEDDED, name), text);
  }
}
