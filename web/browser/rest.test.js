/** The cost of an open page for the server while nobody touches it. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fillShop, pagesOf } from './shop.js';
import { isDrawn, openPage, startApp, startBrowser, until } from './support.js';

const REST_MS = 500;
/** News that are still under way may make a page read again. */
const REQUESTS_MAX = 3;

describe('an open page', { concurrency: false }, () => {
  let app;
  let browser;
  before(async () => {
    [app, browser] = await Promise.all([startApp(), startBrowser()]);
  });
  after(async () => {
    await browser?.close();
    await app?.stop();
  });

  test('asks the server for nothing more once it is drawn', async () => {
    const pages = pagesOf(await fillShop(app));
    const page = await openPage(browser, app);
    let asked = [];
    page.on('request', (request) => request.url().includes('/api/') && asked.push(`${request.method()} ${request.url().replace(app.host, '')}`));
    for (const [name, address] of Object.entries(pages)) {
      await page.goto(`${app.host}/${address}`);
      await page.reload();
      await until(() => page.evaluate(isDrawn), `${name} drawn`);
      await page.waitForTimeout(REST_MS);
      asked = [];
      await page.waitForTimeout(REST_MS);
      assert.ok(asked.length <= REQUESTS_MAX, `${name}: ${asked.length} requests in ${REST_MS} ms, such as ${asked.slice(0, 3).join(', ')}`);
    }
    await page.context().close();
  });
});
