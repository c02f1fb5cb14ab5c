/** The public page of a gallery, as a customer sees it: without JavaScript, with it, and after a click. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeGallery, makeShop } from '../../clients/js/support/eyeline.js';
import { openPage, startApp, startBrowser, until } from './support.js';

const PICTURES = 8;
/** How many times slower the processor is while the layout is watched. */
const SLOWER = 10;

/** Sums up the layout shifts of the page from its beginning. */
const watchShifts = () => {
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) window.shifts += value;
  }).observe({ type: 'layout-shift', buffered: true });
};

describe('the public page', { concurrency: false }, () => {
  let app;
  let browser;
  let shop;
  before(async () => {
    [app, browser] = await Promise.all([startApp(), startBrowser()]);
    shop = await makeShop(app, [app.host]);
  });
  after(async () => {
    await browser?.close();
    await app?.stop();
  });

  const publicGallery = (links) => makeGallery(app, shop, PICTURES, links, { page: { enabled: true }, ranking: { strategy: 'weight' } });
  const visit = (gallery, options) => openPage(browser, app, { signedIn: false, path: `/g/${gallery.gallery_id}`, ...options });

  test('once its owner has shared it, it has the pictures with their links, also without JavaScript', async () => {
    const gallery = await makeGallery(app, shop, PICTURES, (number) => `https://shop.example/p/${number}`);
    assert.equal((await fetch(`${app.host}/g/${gallery.gallery_id}`)).status, 404);
    const owner = await openPage(browser, app, { path: `/#/gallery/${gallery.gallery_id}?project=${shop.project_id}` });
    await owner.getByRole('link', { name: 'Share' }).click();
    await owner.getByRole('switch', { name: 'Public page' }).click();
    const address = (await owner.getByLabel('Address of the public page', { exact: true }).innerText()).trim();
    await until(async () => (await fetch(address)).ok, 'the page');
    await owner.context().close();
    const page = await visit(gallery, { path: new URL(address).pathname, javaScriptEnabled: false });
    const links = page.locator('eyeline-gallery li a');
    assert.equal(await links.count(), PICTURES);
    assert.match(await links.first().getAttribute('href'), /^https:\/\/shop\.example\/p\//);
    await page.screenshot();
    await page.context().close();
  });

  test('with it the element takes the page that is there, nothing shifts, and a click reorders', async () => {
    const gallery = await publicGallery();
    const page = await visit(gallery, { path: '/docs' });
    await page.addInitScript(watchShifts);
    // On a slow machine the browser draws the page before it has read all of it.
    const session = await page.context().newCDPSession(page);
    const slowBy = (rate) => session.send('Emulation.setCPUThrottlingRate', { rate });
    await slowBy(SLOWER);
    const asked = [];
    page.on('request', (request) => new URL(request.url()).pathname.endsWith(`/galleries/${gallery.gallery_id}/images`) && asked.push(request.url()));
    await page.goto(`${app.host}/g/${gallery.gallery_id}`);
    const tiles = page.locator('eyeline-gallery .tile');
    await until(async () => (await tiles.count()) === PICTURES, 'all tiles');
    await until(() => tiles.locator('img').first().evaluate((image) => image.complete && image.naturalWidth > 0), 'a picture');
    assert.deepEqual(asked, [], 'the first page was there');
    assert.equal(Math.round(1000 * await page.evaluate(() => window.shifts)), 0, 'layout shift');
    await slowBy(1);
    const names = () => tiles.locator('img').evaluateAll((images) => images.map(({ alt }) => alt));
    const wanted = (await names())[4];
    await tiles.nth(4).locator('a').click();
    await page.keyboard.press('Escape');
    await until(async () => (await names())[0] === wanted, async () => `${wanted} first: ${await names()}`);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });
});
