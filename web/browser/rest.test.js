/** The cost of an open page for the server while nobody touches it. */

import { after, before, describe, test } from 'node:test';
import { fillShop, pagesOf } from './shop.js';
import { isDrawn, openPage, startApp, startBrowser, until } from './support.js';

/** A page is at rest once it has asked nothing for this long. Those that follow events ask every two seconds. */
const REST_MS = 1000;
/** A page that goes on asking is never at rest. */
const DEADLINE_MS = 20_000;

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

  test('comes to rest once it is drawn', async () => {
    const pages = pagesOf(await fillShop(app));
    const page = await openPage(browser, app);
    let last = { at: 0, what: '' };
    page.on('request', (request) => {
      if (request.url().includes('/api/')) last = { at: Date.now(), what: `${request.method()} ${request.url().replace(app.host, '')}` };
    });
    for (const [name, address] of Object.entries(pages)) {
      await page.goto(`${app.host}/${address}`);
      await page.reload();
      await until(() => page.evaluate(isDrawn), `${name} drawn`);
      await until(() => Date.now() - last.at >= REST_MS, () => `${name} at rest, after ${last.what}`, DEADLINE_MS);
    }
    await page.context().close();
  });
});
