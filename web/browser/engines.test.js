/** An owner's main journey on the engines that processes share: PostgreSQL, Redis and S3. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { openPage, pictures, startApp, startBrowser, until } from './support.js';

function named(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is missing: run the tests through scripts/with-postgres, with-redis and with-s3`);
  return value;
}

/** The settings of a server on these engines, with a database of its own. */
function shared() {
  const postgres = new URL(named('EYELINE_TEST_POSTGRES_URL'));
  const database = `web_${randomBytes(6).toString('hex')}`;
  execFileSync('psql', [postgres.href, '--quiet', '--command', `CREATE DATABASE ${database}`]);
  postgres.pathname = `/${database}`;
  return {
    EYELINE_CATALOG_URL: postgres.href,
    EYELINE_CACHE_URL: named('EYELINE_TEST_REDIS_URL'),
    EYELINE_OBJECTS_URL: named('EYELINE_TEST_S3_URL'),
    AWS_ACCESS_KEY_ID: named('EYELINE_TEST_S3_ACCESS_KEY'),
    AWS_SECRET_ACCESS_KEY: named('EYELINE_TEST_S3_SECRET_KEY'),
  };
}

describe('on PostgreSQL, Redis and S3', { concurrency: false }, () => {
  let app;
  let browser;
  before(async () => {
    [app, browser] = await Promise.all([startApp(shared()), startBrowser()]);
  });
  after(async () => {
    await browser?.close();
    await app?.stop();
  });

  test('photos are uploaded, shared, and reordered by a visitor; the dashboard counts it', async () => {
    const owner = await openPage(browser, app, { path: '/#/welcome' });
    await owner.locator('#upload').setInputFiles(pictures(6));
    await owner.getByRole('button', { name: '6 added' }).waitFor();
    const tiles = owner.locator('.tile');
    await until(async () => (await tiles.count()) === 6, 'six tiles');
    await owner.getByRole('link', { name: 'Share' }).click();
    await owner.getByRole('switch', { name: 'Public page' }).click();
    const address = (await owner.getByLabel('Address of the public page', { exact: true }).innerText()).trim();
    const { pathname } = new URL(address);
    await until(async () => (await fetch(app.host + pathname)).ok, 'the page');

    const visitor = await openPage(browser, app, { signedIn: false, path: pathname });
    const shown = visitor.locator('eyeline-gallery .tile');
    await until(async () => (await shown.count()) === 6, 'six pictures');
    const wanted = 'picture 1.png';
    await shown.filter({ has: visitor.getByAltText(wanted, { exact: true }) }).locator('a').click();
    await visitor.keyboard.press('Escape');
    const first = () => shown.first().locator('img').getAttribute('alt');
    await until(async () => (await first()) === wanted, async () => `${wanted} first: ${await first()}`);

    await owner.getByRole('link', { name: 'Photos' }).click();
    await until(async () => (await tiles.first().locator('img').getAttribute('alt')) === wanted, 'the order of the visitor');
    await owner.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Insight' }).click();
    await until(async () => (await owner.locator('.answer', { hasText: 'Clicks' }).first().locator('strong').innerText()) === '1', 'one click');
    await owner.goto(`${app.host}/#/settings/system`);
    await owner.getByText('The server is ready.').waitFor();
    assert.deepEqual([...owner.problems, ...visitor.problems], []);
    await Promise.all([owner.context().close(), visitor.context().close()]);
  });
});
