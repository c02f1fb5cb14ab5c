/**
 * Runs every code block of the documentation as it is printed.
 *
 * The blocks of one language of a document are one program, in a project of its own. A block of `json` is the last
 * answer of the shell's block before it, one of `text` all that this prints. HTML, and JavaScript that imports the npm package, runs on a page in a browser. SQL is asked.
 */

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { DOCUMENTS, ROOT, assertAsPrinted, blocks, runNode, runPython, runShell, workplace } from '../support/documents.js';
import { FILES, OUTCOMES, PAGES } from '../support/outcomes.js';
import { binary, html, makeGallery, makeShop, startBrowser, startEyeline, startSite } from '../support/eyeline.js';

const TIMEOUT_MS = 1_800_000;
const NPM_PACKAGE = /from '@eyeline\/client|import '@eyeline\/client/;
const READS = Object.fromEntries(DOCUMENTS.map((path) => [path, blocks(path)]));
const of = (path, ...kinds) => READS[path].filter(({ kind }) => kinds.includes(kind));
const isForPages = ({ code }) => NPM_PACKAGE.test(code);

let eyeline, site, browser, packages, python;

before(async () => {
  [eyeline, site, browser] = await Promise.all([startEyeline(), startSite(), startBrowser()]);
  writeFileSync(join(eyeline.data, 'admin.key'), eyeline.key);
  packages = mkdtempSync(join(tmpdir(), 'eyeline-packages-'));
  await run(join(ROOT, 'scripts/packages'), [packages]);
  await installPackages();
});
after(async () => {
  await browser?.close();
  await Promise.all([site?.stop(), eyeline?.stop()]);
  if (packages) rmSync(packages, { recursive: true, force: true });
});

/** Runs a program; gives what it printed. */
const run = async (command, words, options = {}) => (await promisify(execFile)(command, words, options)).stdout.trim();

/** Installs both packages into an empty project, each with the command that its README prints. */
async function installPackages() {
  const tools = await run(join(ROOT, 'scripts/python-env'), []);
  await run(tools, ['-m', 'venv', join(packages, 'venv')]);
  python = join(packages, 'venv/bin/python');
  // What the client needs is among the tools, so nothing is fetched.
  const libraries = (path) => run(path, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']);
  writeFileSync(join(await libraries(python), 'tools.pth'), `${await libraries(tools)}\n`);
  writeFileSync(join(packages, 'package.json'), '{"name": "empty", "private": true, "type": "module"}');
  const env = {
    ...process.env,
    PATH: `${join(packages, 'venv/bin')}:${process.env.PATH}`,
    PIP_NO_INDEX: '1',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    npm_config_offline: 'true',
  };
  for (const path of ['clients/js/README.md', 'clients/python/README.md']) {
    const installs = of(path, 'sh');
    assert.equal(installs.length, 1, path);
    await run('bash', ['-ec', installs[0].code], { cwd: packages, env });
  }
  assert.ok(existsSync(join(packages, 'node_modules/@eyeline/client/dist/index.d.ts')));
}

/** A project of its own for one program: its environment, its folder, and what the program's outcome is read from. */
async function makePlace(path) {
  const shop = await makeShop(eyeline, [site.origin]);
  const gallery = await makeGallery(eyeline, shop, 3);
  const place = workplace(FILES, { data: eyeline.data, 'bin/eyeline': binary(), ...OUTCOMES[path]?.links });
  const isAdmin = (OUTCOMES[path] ?? {}).admin === true;
  const env = {
    PATH: `${place.folder}/bin:${process.env.PATH}`,
    EYELINE_URL: eyeline.host,
    EYELINE_KEY: isAdmin ? eyeline.key : shop.secret_key,
    EYELINE_PROJECT: shop.project_id,
    EYELINE_APPLICATION: shop.application_id,
    EYELINE_GALLERY: gallery.gallery_id,
    EYELINE_SIGNING_SECRET: shop.signing_secret,
    ...(of(path, 'sh', 'bash').some(({ code }) => /ADMIN_KEY|^eyeline /m.test(code)) ? { EYELINE_ADMIN_KEY: eyeline.key } : {}),
  };
  return { cwd: place.folder, env, eyeline, shop, gallery, remove: place.remove };
}

/** A printed text with this test's server and ids in the place of the example's. */
const real = (text, { shop, gallery }) =>
  text
    .replaceAll('https://eyeline.example', eyeline.host)
    .replaceAll('http://localhost:8009', eyeline.host)
    .replaceAll('https://shop.example', site.origin)
    .replaceAll('0198c0de-0000-7000-8000-00000000a001', shop.application_id)
    .replaceAll('0198c0de-0000-7000-8000-00000000a002', gallery.gallery_id);

/** Runs one program of a document in a place of its own, and looks at what came of it. */
async function program(path, language, run) {
  assert.ok(OUTCOMES[path], `${path}: what its programs are to bring about`);
  const place = await makePlace(path);
  try {
    const printed = await run(place);
    await OUTCOMES[path].check({ ...place, language, printed: [printed].flat().join('\n') });
  } finally {
    place.remove();
  }
}

/** The last of the JSON values that a block printed. */
const lastJson = (text) => JSON.parse(execFileSync('jq', ['-c', '.'], { input: text, encoding: 'utf8' }).trim().split('\n').at(-1));

/** Compares the printed answers with what the blocks of the shell before them gave. */
function compareAnswers(path, shell, printed) {
  for (const [index, answer] of READS[path].entries()) {
    if (!['json', 'text'].includes(answer.kind)) continue;
    const where = `${path}:${answer.line}`;
    const at = shell.indexOf(READS[path][index - 1]);
    assert.ok(at >= 0, `${where}: an answer follows the block of the shell that gives it`);
    if (answer.kind === 'text') assertAsPrinted(answer.code.trim(), printed[at].trim(), where);
    else assertAsPrinted(JSON.parse(answer.code), lastJson(printed[at]), where);
  }
}

/** Opens a page of the site, runs the example's check, and looks for errors. */
async function open(name, place, body, policy) {
  const path = `/${encodeURIComponent(name)}`;
  // The scripts of an example are inline; its pages' own policy is tested as printed elsewhere.
  const headers = { 'Content-Security-Policy': policy.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'") };
  site.pages[path] = { body: html(body), headers };
  const page = await (await browser.newContext()).newPage();
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(site.origin + path);
  assert.ok(PAGES[name], `a check for the page "${name}"`);
  await PAGES[name](page, place);
  assert.deepEqual(errors, []);
  await page.close();
}

/** Pages of the site with a gallery of six pictures, for all examples of a document. */
async function makePages(path) {
  const place = await makePlace(path);
  place.gallery = await makeGallery(eyeline, place.shop, 6);
  const styles = of(path, 'css').map(({ code }) => code);
  site.pages['/shop.css'] = { type: 'text/css', body: styles.join('') };
  place.policy = real(of('docs/embed.md', 'csp')[0].code.trim(), place);
  return place;
}

const KINDS = ['sh', 'bash', 'js', 'python', 'html', 'css', 'csp', 'sql', 'json', 'text'];

describe('the printed examples', { timeout: TIMEOUT_MS }, () => {
  for (const path of DOCUMENTS) {
    test(`${path}: every block is of a kind that is run`, () => {
      for (const { kind, line } of READS[path]) assert.ok(KINDS.includes(kind), `${path}:${line}: ${kind || 'no language'}`);
    });

    const isPackage = path.startsWith('clients/');
    const shell = isPackage ? [] : of(path, 'sh', 'bash');
    const answers = of(path, 'json', 'text');
    if (shell.length + answers.length > 0)
      test(`${path}: shell`, () =>
        program(path, 'shell', async (place) => {
          const printed = await runShell(shell.map(({ code }) => real(code, place)), place);
          compareAnswers(path, shell, printed);
          return printed;
        }));

    const node = of(path, 'js').filter((block) => !isForPages(block));
    if (node.length > 0) test(`${path}: JavaScript`, () =>
      program(path, 'js', (place) => runNode(node.map(({ code }) => code), place)));

    const snakes = of(path, 'python');
    if (snakes.length > 0) test(`${path}: Python`, () =>
      program(path, 'python', (place) => runPython(python, snakes.map(({ code }) => code), place)));

    const pages = of(path, 'html');
    if (pages.length > 0) test(`${path}: pages`, async () => {
      const place = await makePages(path);
      for (const { heading, code } of pages) await open(`${path}: ${heading}`, place, real(code, place), place.policy);
      place.remove();
    });

    const scripts = of(path, 'js').filter(isForPages);
    if (scripts.length > 0) test(`${path}: JavaScript with the npm package`, async () => {
      const place = await makePages(path);
      const files = scripts.map((_, index) => `example-${index}.ts`);
      scripts.forEach(({ code }, index) => writeFileSync(join(packages, files[index]), code));
      const tsc = join(ROOT, 'clients/js/node_modules/typescript/bin/tsc');
      const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2023,dom,dom.iterable'];
      await run(process.execPath, [tsc, ...options, ...files], { cwd: packages });
      for (const [index, { heading, code }] of scripts.entries()) {
        const entry = join(packages, files[index]);
        writeFileSync(entry, real(code, place));
        const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: 'esm', write: false, logLevel: 'silent' });
        site.pages[`/example-${index}.js`] = { type: 'text/javascript', body: outputFiles[0].text };
        await open(`${path}: ${heading}`, place, `<script type="module" src="/example-${index}.js"></script>`, place.policy);
      }
      place.remove();
    });

    const questions = of(path, 'sql');
    if (questions.length > 0) test(`${path}: SQL`, async () => {
      const place = await makePlace(path);
      for (const { code } of questions) {
        const answer = await eyeline.api('POST', '/analytics/sql', { project_id: place.shop.project_id, query: code });
        assert.ok(answer.columns.length > 0, code);
      }
      place.remove();
    });
  }
});
