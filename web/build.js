/**
 * Builds the web application into `index.html` and `bundle`, which the server embeds. With `--check`, builds in memory
 * and fails if these differ. With `--tests`, builds the unit tests into `.tests`.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const HERE = dirname(fileURLToPath(import.meta.url));
/** The oldest browsers that know `light-dark()`, modules and nested style rules. */
const TARGET = ['chrome123', 'firefox120', 'safari17.5'];

const COMMON = {
  absWorkingDir: HERE,
  bundle: true,
  format: 'esm',
  target: TARGET,
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
};

/**
 * Lets every page that is loaded later import the start. Then all that the start needs is reached from all of them, and
 * esbuild puts it into one file in place of one for each set of pages that share something.
 */
const oneStart = {
  name: 'one start',
  setup({ onResolve, onLoad }) {
    const later = new Set();
    onResolve({ filter: /^\./ }, ({ kind, path, resolveDir }) => {
      if (kind === 'dynamic-import') later.add(join(resolveDir, path).replace(/\.js$/, '.tsx'));
    });
    onLoad({ filter: /\.tsx$/ }, ({ path }) => {
      if (later.has(path)) return { contents: `import '${join(HERE, 'src/start.tsx')}';${readFileSync(path, 'utf8')}`, loader: 'tsx' };
    });
  },
};

/** The built files, as a map from path to text. The manifest names what the page loads, and all sizes. */
export async function bundle() {
  const { outputFiles, metafile } = await build({
    ...COMMON,
    entryPoints: ['src/main.tsx'],
    outdir: 'bundle',
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    splitting: true,
    plugins: [oneStart],
    minify: true,
    metafile: true,
    write: false,
  });
  const files = new Map(outputFiles.map((file) => [`bundle/${basename(file.path)}`, file.text]));
  const [path, main] = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint === 'src/main.tsx');
  const script = basename(path);
  const style = basename(main.cssBundle);
  const preloads = main.imports.filter(({ kind }) => kind === 'import-statement').map(({ path }) => basename(path));
  const bytes = Object.fromEntries([...files].map(([path, text]) => [basename(path), Buffer.byteLength(text)]).sort());
  files.set('index.html', page({ script, style, preloads }));
  files.set('bundle/manifest.json', `${JSON.stringify({ script, style, preloads, bytes }, null, 2)}\n`);
  files.set('bundle/LICENSES.txt', licences(Object.keys(metafile.inputs)));
  return files;
}

/** `index.html` with the hashed names of what it loads. */
function page({ script, style, preloads }) {
  const lines = [
    `<link rel="stylesheet" href="/assets/${style}">`,
    `<script type="module" src="/assets/${script}"></script>`,
    ...preloads.map((name) => `<link rel="modulepreload" href="/assets/${name}">`),
  ];
  return readFileSync(join(HERE, 'src/index.html'), 'utf8').replace('<!-- bundle -->', lines.join('\n  '));
}

/** The licences of all packages that a build took in. */
function licences(inputs) {
  const packages = new Set(inputs.flatMap((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []));
  const texts = [...packages].sort().map((name) => {
    const folder = join(HERE, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    const text = file ? readFileSync(join(folder, file), 'utf8').trim() : '';
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return texts.join(`\n${'-'.repeat(78)}\n\n`);
}

async function buildTests() {
  const folder = join(HERE, 'test');
  const entryPoints = readdirSync(folder).filter((name) => name.endsWith('.test.ts')).map((name) => `test/${name}`);
  rmSync(join(HERE, '.tests'), { recursive: true, force: true });
  await build({ ...COMMON, entryPoints, outdir: '.tests', platform: 'node', target: 'node20', sourcemap: 'inline' });
}

function write(files) {
  rmSync(join(HERE, 'bundle'), { recursive: true, force: true });
  mkdirSync(join(HERE, 'bundle'));
  for (const [path, text] of files) writeFileSync(join(HERE, path), text);
}

function check(files) {
  const stored = readdirSync(join(HERE, 'bundle')).map((name) => `bundle/${name}`);
  const differs = (path) => !existsSync(join(HERE, path)) || readFileSync(join(HERE, path), 'utf8') !== files.get(path);
  const wrong = [...[...files.keys()].filter(differs), ...stored.filter((path) => !files.has(path))];
  if (wrong.length === 0) return;
  console.error(`The built page differs from its sources in ${wrong.join(', ')}: run \`npm run build\` in web and commit it.`);
  process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--tests')) await buildTests();
  else if (process.argv.includes('--check')) check(await bundle());
  else write(await bundle());
}
