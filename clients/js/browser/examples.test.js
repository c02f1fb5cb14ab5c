import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { html, makeGallery, makeShop, startBrowser, startEyeline, startSite, until } from '../support/eyeline.js';

const PACKAGE = join(dirname(fileURLToPath(import.meta.url)), '..');
const ROOT = join(PACKAGE, '../..');
const TIMEOUT_MS = 900_000;

/** The code blocks of a document: `{heading, kind, code}`. */
function blocks(path) {
  const found = [];
  let heading = '';
  let block = null;
  for (const line of readFileSync(join(ROOT, path), 'utf8').split('\n')) {
    if (block && line === '```') block = found.push(block) && null;
    else if (block) block.code += `${line}\n`;
    else if (line.startsWith('#')) heading = line.replace(/^#+ (\d+\. )?/, '');
    else if (line.startsWith('```')) block = { heading, kind: line.slice(3), code: '' };
  }
  return found;
}

const README = blocks('clients/js/README.md');
const EMBED = blocks('docs/embed.md');

let eyeline, site, browser, shop, gallery, project;

before(async () => {
  [eyeline, site, browser] = await Promise.all([startEyeline(), startSite(), startBrowser()]);
  shop = await makeShop(eyeline, []);
  gallery = await makeGallery(eyeline, shop, 6);
  project = mkdtempSync(join(tmpdir(), 'eyeline-empty-project-'));
  site.pages['/shop.css'] = {
    type: 'text/css',
    body: EMBED.filter(({ kind }) => kind === 'css').map(({ code }) => code).join(''),
  };
});
after(async () => {
  await browser?.close();
  await Promise.all([site?.stop(), eyeline?.stop()]);
  if (project) rmSync(project, { recursive: true, force: true });
});

/** A printed text with this test's server and ids in the place of the example's. */
const real = (text) =>
  text
    .replaceAll('https://eyeline.example', eyeline.host)
    .replaceAll('https://shop.example', site.origin)
    .replaceAll('0198c0de-0000-7000-8000-00000000a001', shop.application_id)
    .replaceAll('0198c0de-0000-7000-8000-00000000a002', gallery.gallery_id);

const arrives = (filter) =>
  until(async () => (await shop.events(filter)).length > 0, `an event ${JSON.stringify(filter)}`);
const shows = (page) => page.locator('eyeline-gallery [part=tile]').nth(5).waitFor();
const session = (page) => page.evaluate(() => window.eyeline.session_id);

/** What each example is to do, by its document and heading. */
const CHECKS = {
  'README: With a script element': async (page) => {
    await shows(page);
    await arrives({ session_id: await session(page), name: 'view' });
  },
  'README: Send events': (page) => arrives({ name: 'pageview' }),
  'README: Show a gallery': async (page) => {
    await shows(page);
    await arrives({ name: 'view' });
  },
  'README: Count the views and clicks of your own tiles': async (page) => {
    await page.locator('img').nth(5).waitFor();
    const clicks = async () => (await shop.events({ name: 'click' })).length;
    const before = await clicks();
    await page.locator('img').first().click();
    await until(async () => (await clicks()) > before, 'the click');
  },
  'README: Ask for consent': async (page) => {
    assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
    await page.getByRole('button').click();
    await until(() => page.evaluate(() => sessionStorage.length === 1 && localStorage.length === 0), 'a sent event');
  },
  'embed: Put the gallery on the page': async (page) => {
    await shows(page);
    await arrives({ session_id: await session(page), name: 'view' });
  },
  'embed: Reserve its place, and give it links of its own': async (page) => {
    await shows(page);
    assert.ok((await page.locator('eyeline-gallery').boundingBox()).height >= page.viewportSize().height);
    const border = await page.locator('eyeline-gallery [part=tile]').first().evaluate((tile) => getComputedStyle(tile).borderTopColor);
    assert.equal(border, 'rgb(204, 204, 204)');
  },
  'embed: Send events of your own': async (page) => arrives({ session_id: await session(page), name: 'search' }),
  'embed: Ask for consent': async (page) => {
    await shows(page);
    assert.equal(await session(page), null);
    await page.getByRole('button', { name: 'Allow' }).click();
    await arrives({ session_id: await session(page), name: 'view' });
    await page.getByRole('button', { name: 'Refuse' }).click();
    assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
  },
  'embed: Decide what a click does': async (page) => {
    await shows(page);
    await page.locator('eyeline-gallery a').nth(1).click();
    await page.waitForURL('**/pictures/*?rank=2');
  },
  'embed: When nothing arrives': async (page) => {
    await page.waitForFunction(() => window.eyeline);
  },
};

/** Opens a page of the site, runs the example's check, and looks for errors. */
async function check(name, body, head = '') {
  const path = `/${encodeURIComponent(name)}`;
  const policy = EMBED.find(({ kind }) => kind === 'csp').code.trim();
  // The scripts of an example are inline; its pages' own policy is tested as printed elsewhere.
  const headers = { 'Content-Security-Policy': real(policy).replace("script-src 'self'", "script-src 'self' 'unsafe-inline'") };
  site.pages[path] = { body: html(body, head), headers };
  const page = await (await browser.newContext()).newPage();
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(site.origin + path);
  assert.ok(CHECKS[name], `a check for the example "${name}"`);
  await CHECKS[name](page);
  assert.deepEqual(errors, []);
  await page.close();
}

describe('the printed examples', { timeout: TIMEOUT_MS }, () => {
  test('docs/embed.md: the commands', () => {
    const commands = EMBED.filter(({ kind }) => kind === 'sh');
    assert.ok(commands.length > 0);
    for (const { code } of commands) {
      const env = { ...process.env, EYELINE_URL: eyeline.host, EYELINE_ADMIN_KEY: eyeline.key, APPLICATION_ID: shop.application_id };
      const answer = JSON.parse(execFileSync('bash', ['-ec', real(code)], { env, stdio: ['ignore', 'pipe', 'inherit'] }));
      assert.deepEqual(answer.allowed_origins, [site.origin]);
    }
  });

  for (const { heading, code } of EMBED.filter(({ kind }) => kind === 'html')) {
    test(`docs/embed.md: ${heading}`, () => check(`embed: ${heading}`, real(code)));
  }

  for (const { heading, code } of README.filter(({ kind }) => kind === 'html')) {
    test(`README: ${heading}`, () => check(`README: ${heading}`, real(code)));
  }

  test('README: the package installs into an empty project, has types, and its examples run', async () => {
    const npm = (cwd, ...words) => execFileSync('npm', words, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    npm(PACKAGE, 'pack', '--silent', '--pack-destination', project);
    writeFileSync(join(project, 'package.json'), '{"name": "empty", "private": true, "type": "module"}');
    const installs = README.filter(({ kind }) => kind === 'sh');
    assert.equal(installs.length, 1);
    execFileSync('bash', ['-ec', `${installs[0].code.trim()} --offline --no-audit --no-fund`], { cwd: project, stdio: 'ignore' });

    const examples = README.filter(({ kind }) => kind === 'js');
    assert.ok(examples.length >= 4);
    examples.forEach(({ code }, index) => writeFileSync(join(project, `example-${index}.ts`), code));
    const tsc = join(PACKAGE, 'node_modules/typescript/bin/tsc');
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2023,dom,dom.iterable'];
    const files = examples.map((_, index) => `example-${index}.ts`);
    execFileSync(process.execPath, [tsc, ...options, ...files], { cwd: project, stdio: ['ignore', 'inherit', 'inherit'] });

    for (const [index, { heading, code }] of examples.entries()) {
      const entry = join(project, `example-${index}.ts`);
      writeFileSync(entry, real(code));
      const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: 'esm', write: false, logLevel: 'silent' });
      site.pages[`/example-${index}.js`] = { type: 'text/javascript', body: outputFiles[0].text };
      await check(`README: ${heading}`, `<script type="module" src="/example-${index}.js"></script>`);
    }
  });
});
