/** The reference at `/docs`: the examples of every operation run, and its pages can be read and used by everybody. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT } from '../support/documents.js';
import { makeGallery, makeShop, startBrowser, startEyeline } from '../support/eyeline.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TIMEOUT_MS = 1_800_000;
const STREAM_MS = 5_000;

/** Operations whose example cannot succeed, with the status that says so: they need what only a link or a printed ticket has. */
const REFUSED = {
  put_incoming_file: 403,
  put_incoming_part: 403,
  create_part_links: 409,
  post_incoming_form: 403,
  get_original: 403,
  get_private_version: 403,
  get_public_version: 404,
  create_session: 401,
  retry_job: 404,
  get_erasure: 404,
  set_test_clock: 404,
};

let eyeline, browser, description, folder;

before(async () => {
  [eyeline, browser] = await Promise.all([startEyeline(), startBrowser()]);
  description = await eyeline.api('GET', '/openapi.json');
  folder = mkdtempSync(join(tmpdir(), 'eyeline-reference-'));
  writeFileSync(join(folder, 'hello.jpg'), readFileSync(join(ROOT, 'hello.jpg')));
});
after(async () => {
  await browser?.close();
  await eyeline?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** Every operation; what deletes comes last, the smaller things first. */
function operations() {
  const all = Object.entries(description.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ id: operation.operationId, method, path, operation })),
  );
  // The keys of the other examples end with the application and the project.
  const keys = ['delete_application', 'delete_project'];
  const rank = ({ id, method, path }) => {
    if (method !== 'delete') return path.includes('{') ? 1 : 0;
    return keys.includes(id) ? 100 + keys.indexOf(id) : 100 - path.split('/').length;
  };
  return all.sort((one, other) => rank(one) - rank(other));
}

/** Things of a project of its own in the place of those of the examples, and the keys to them. */
async function makeThings() {
  const shop = await makeShop(eyeline, []);
  const { project_id, application_id, secret_key, signing_secret } = shop;
  const { gallery_id, ids } = await makeGallery(eyeline, shop, 2);
  const api = (method, path, body) => eyeline.api(method, path, body, { Authorization: `Bearer ${secret_key}` });
  const session_id = 'e2085be5-9137-4e4e-80b5-f1ffddc25423';
  const event = { session_id, category: 'shop', name: 'cart', data: {}, timestamp: '2026-03-01T12:00:00Z' };
  const { event_id } = await api('POST', '/events', event);
  await api('PUT', `/event-types/shop/checkout?project_id=${project_id}`, { on_invalid: 'reject' });
  const user = userToken('anna', application_id, project_id, signing_secret);
  const form = new FormData();
  form.append('data', new Blob([readFileSync(join(ROOT, 'hello.jpg'))]), 'hello.jpg');
  const headers = { Authorization: `Bearer ${user}` };
  const upload = await (await fetch(`${eyeline.host}/api/v1/uploads`, { method: 'POST', headers, body: form })).json();
  const real = (text, isUpload) =>
    text
      .replaceAll('0198c0de-0000-7000-8000-00000000a000', project_id)
      .replaceAll('0198c0de-0000-7000-8000-00000000a001', application_id)
      .replaceAll('0198c0de-0000-7000-8000-00000000a002', gallery_id)
      .replaceAll('0198c0de-0000-7000-8000-00000000a003', isUpload ? upload.image_id : ids[0])
      .replaceAll('0198c0de-0000-7000-8000-00000000a004', event_id);
  return { real, secret_key, user };
}

function userToken(sub, application, project, secret) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const text = `${part({ alg: 'HS256', kid: application })}.${part({ sub, tier: 'free', exp, aud: project })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** Runs a program in the folder; gives what it printed, whether or not it ended well. */
function run(command, words, key, timeout) {
  const env = { ...process.env, EYELINE_KEY: key };
  return new Promise((resolve) => {
    execFile(command, words, { cwd: folder, env, timeout }, (error, printed, told) => resolve({ error, printed, told }));
  });
}

const streams = ({ operation }) => Boolean(operation.responses['200']?.content?.['text/event-stream']);
const sample = ({ operation }, label) => operation['x-codeSamples'].find((one) => one.label === label)?.source;

/** The status that the example of an operation is answered with. */
const STATUS = {
  async curl(given, source, key) {
    const bound = streams(given) ? ` --max-time ${STREAM_MS / 1000}` : '';
    const { printed } = await run('bash', ['-c', `${source} -sS -w '\\n%{http_code}'${bound}`], key);
    return Number(printed.trim().split('\n').at(-1));
  },
  async JavaScript(given, source, key) {
    const file = join(folder, `${given.id}.mjs`);
    const seen = "const own = globalThis.fetch;\nglobalThis.fetch = async (...all) => { const answer = await own(...all); process.stderr.write(`STATUS ${answer.status}\\n`); return answer; };\n";
    writeFileSync(join(folder, 'seen.mjs'), seen);
    writeFileSync(file, source);
    const { error, told } = await run(process.execPath, ['--import', join(folder, 'seen.mjs'), file], key, streams(given) ? STREAM_MS : 0);
    const status = Number(/^STATUS (\d+)/m.exec(told)?.[1]);
    assert.ok(status >= 400 || !error || streams(given), `${given.id}: ${told}`);
    return status;
  },
};

describe('the reference', { timeout: TIMEOUT_MS }, () => {
  test('every operation has an example in each language, and a short title', () => {
    assert.ok(operations().length > 60);
    for (const { id, operation } of operations()) {
      const labels = operation['x-codeSamples'].map(({ label }) => label);
      assert.deepEqual(labels.slice(0, 2), ['curl', 'JavaScript'], id);
      const isForBrowsersOrLinks = /session|sign_in|incoming|_version$|get_original/.test(id);
      assert.equal(labels.includes('Python'), !isForBrowsersOrLinks, id);
    }
  });

  for (const language of Object.keys(STATUS)) {
    test(`the examples in ${language} run and are answered as described`, async () => {
      const things = await makeThings();
      for (const given of operations()) {
        const isUpload = given.operation.tags[0] === 'uploads';
        const source = things.real(sample(given, language), isUpload);
        const keys = isUpload ? [things.user] : [things.secret_key, eyeline.key];
        let status;
        for (const key of keys) {
          status = await STATUS[language](given, source, key);
          if (![401, 403].includes(status)) break;
        }
        const about = `${given.id} was answered with ${status}:\n${source}`;
        assert.ok(status < 400 || status === REFUSED[given.id], about);
        assert.ok(String(status) in given.operation.responses, about);
      }
    });
  }

  for (const [name, options] of Object.entries({
    'wide and light': { viewport: { width: 1440, height: 900 }, colorScheme: 'light' },
    'narrow and dark': { viewport: { width: 390, height: 844 }, colorScheme: 'dark' },
  })) {
    test(`every page is accessible and fits, ${name}`, async () => {
      const context = await browser.newContext({ ...options, bypassCSP: true });
      const page = await context.newPage();
      await page.addInitScript(AXE);
      for (const tag of ['', ...description.tags.map(({ name }) => name.replaceAll(' ', '-'))]) {
        await page.goto(`${eyeline.host}/docs#${tag}`);
        await page.reload();
        await page.locator('main h1').waitFor();
        for (const details of await page.locator('.operation >> nth=0 >> details').all()) await details.evaluate((one) => (one.open = true));
        const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
        assert.deepEqual(found.violations.map(({ id, nodes }) => [id, nodes[0].html]), [], tag);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, `${tag} is wider than the screen`);
      }
      await context.close();
    });
  }

  test('a reader finds an operation, changes the language for all, and sends a request', async () => {
    const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
    const errors = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(`${eyeline.host}/docs`);
    await page.getByRole('heading', { name: 'Quick start' }).waitFor();
    await page.getByRole('searchbox').fill('create gallery');
    await page.getByRole('link', { name: 'Create a gallery' }).click();
    await page.getByRole('heading', { name: 'Create a gallery' }).waitFor();
    await page.locator('#create_gallery').getByRole('tab', { name: 'Python' }).click();
    assert.match(await page.locator('#get_gallery .samples').textContent(), /client\.galleries\.get/);

    const { project_id } = await makeShop(eyeline, []);
    const form = page.locator('#create_gallery .try');
    await form.getByText('Try it').click();
    await form.getByLabel('Key', { exact: true }).fill(eyeline.key);
    await form.getByLabel('Body').fill(JSON.stringify({ project_id, name: 'Tried' }));
    await form.getByRole('button', { name: 'Send' }).click();
    await form.getByText('201').waitFor();
    const { galleries } = await eyeline.api('GET', `/galleries?project_id=${project_id}`);
    assert.deepEqual(galleries.map(({ name }) => name), ['Tried']);
    await form.getByLabel('Body').fill(JSON.stringify({ project_id, name: '' }));
    await form.getByRole('button', { name: 'Send' }).click();
    await form.getByText('This may not be empty.').waitFor();
    assert.deepEqual(errors.filter((text) => !/status of 400/.test(text)), []);

    await page.goto(`${eyeline.host}/docs#errors`);
    await page.getByText('problem document of RFC 9457').waitFor();
  });
});
