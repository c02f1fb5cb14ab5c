/** Search, and what waits for people: undo offers and sign-in links. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fillShop } from './shop.js';
import { noFindings, openPage, startApp, startBrowser, until } from './support.js';

describe('finding things', { concurrency: false }, () => {
  let app;
  let browser;
  let shop;
  let page;
  const open = (path) => page.goto(`${app.host}/#/${path}${path.includes('?') ? '&' : '?'}project=${shop.project_id}`);
  const option = (name) => page.getByRole('listbox').getByRole('option', { name });
  before(async () => {
    [app, browser] = await Promise.all([startApp(), startBrowser()]);
    shop = await fillShop(app, 6);
    page = await openPage(browser, app);
  });
  after(async () => {
    await browser?.close();
    await app?.stop();
  });

  test('the key / opens a search of pages, galleries, events and images, which the keyboard walks', async () => {
    await open('events');
    await page.getByRole('button', { name: 'Search (key /)' }).waitFor();
    await page.keyboard.press('/');
    const field = page.getByRole('combobox', { name: 'Search' });
    await field.waitFor();
    await noFindings(page, 'search');
    await page.keyboard.type('sql');
    await option('Insight · SQL').waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Run' }).waitFor();
    assert.ok(page.url().includes('#/insight/sql'), page.url());

    await page.getByLabel('SQL query').focus();
    await page.keyboard.type('/');
    assert.equal(await field.count(), 0, 'where text is written, the key writes');
    await open('images');
    await page.locator('tbody tr').first().waitFor();
    await page.keyboard.press('/');
    await field.fill('shoes');
    await option('shoes').first().waitFor();
    await field.fill('cart');
    await option('shop / cart').click();
    await until(() => page.url().includes('category=shop') && page.url().includes('name=cart'), 'the events of the type');
    await page.keyboard.press('/');
    await field.fill('BROK');
    await option('broken.jpg').waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'broken.jpg' }).getByText('The file is not a picture').waitFor();
    await page.goBack();
    await until(async () => (await page.getByRole('dialog').count()) === 0, 'Back closes the image');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).getByText('Search').waitFor();
    await page.keyboard.press('Escape');
    assert.deepEqual(page.problems, []);
  });

  test('images are filtered by name and by gallery, and one tells its way to the first click', async () => {
    await open('images');
    await page.getByLabel('Name', { exact: true }).fill('broken');
    await page.keyboard.press('Enter');
    await until(async () => (await page.locator('tbody tr').count()) === 1, 'one image');
    await open('images');
    await page.getByRole('combobox', { name: 'Gallery', exact: true }).selectOption('shoes');
    await until(async () => (await page.locator('tbody tr').count()) === shop.images.length, 'the images of the gallery, none of them failed');
    await open(`images?image=${shop.images[0]}`);
    const journey = page.locator('.journey li');
    await until(async () => (await journey.count()) === 5, 'five steps');
    await journey.nth(4).locator('time').waitFor();
    await noFindings(page, 'an image');
  });

  test('an offer to undo stays while it has the focus or the pointer, and then the work is done', async () => {
    const { page_size, ...made } = await app.api('POST', '/galleries', { project_id: shop.project_id, name: 'Undo' });
    assert.ok(page_size);
    await app.api('PUT', `/galleries/${made.gallery_id}/images/${shop.images[0]}`);
    const own = await openPage(browser, app);
    await own.clock.install();
    await own.goto(`${app.host}/#/gallery/${made.gallery_id}?project=${shop.project_id}`);
    await own.locator('.tile a').first().click();
    await own.locator('.panel').getByRole('button', { name: 'Delete' }).click();
    const undo = own.locator('.notice').getByRole('button', { name: 'Undo' });
    const isThere = () => app.api('GET', `/images/${shop.images[0]}`).then(() => true, () => false);
    await undo.focus();
    await own.clock.fastForward(60_000);
    await undo.hover();
    await undo.evaluate((button) => button.blur());
    await own.clock.fastForward(60_000);
    assert.equal(await undo.count(), 1);
    assert.ok(await isThere());
    await own.mouse.move(5, 5);
    await own.clock.fastForward(7000);
    assert.equal(await undo.count(), 1, 'the whole time again');
    await own.clock.fastForward(2000);
    await until(async () => (await undo.count()) === 0, 'an end of the offer');
    await until(async () => !(await isThere()), 'a deleted image');
    await own.context().close();
  });

  test('a reload during sign-in says that the link is spent, and how to get another', async () => {
    const { url } = await app.api('POST', '/session/links');
    const own = await openPage(browser, app, { signedIn: false, path: '/docs' });
    let isSpent = false;
    // The server takes the ticket, and its answer is lost.
    await own.route('**/api/v1/session', async (route) => {
      if (route.request().method() !== 'POST') return route.continue();
      const { 'content-type': type, origin } = route.request().headers();
      await fetch(`${app.host}/api/v1/session`, { method: 'POST', headers: { 'Content-Type': type, ...(origin && { Origin: origin }) }, body: route.request().postData() });
      isSpent = true;
      return new Promise(() => {});
    });
    await own.goto(`${app.host}/${new URL(url).hash}`);
    await until(() => isSpent, 'a ticket that is used up');
    await own.reload();
    await own.getByText('This sign-in link was used or has expired').waitFor();
    await own.getByText('eyeline link').first().waitFor();
    await own.reload();
    await until(async () => (await own.getByText('This sign-in link was used').count()) === 0, 'told once');
    await own.context().close();
  });
});
