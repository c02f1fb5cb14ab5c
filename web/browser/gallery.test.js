/** Journeys on the gallery page, as a shop's owner goes them. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { makeGallery, makeShop } from '../../clients/js/support/eyeline.js';
import { noFindings, openPage, pictures, startApp, startBrowser, until } from './support.js';

const tiles = (page) => page.locator('.tile');
const names = (page) => tiles(page).locator('img').evaluateAll((images) => images.map(({ alt }) => alt));
const choose = (page, files) => page.locator('#upload').setInputFiles(files);
const photo = (page, name) => page.locator('.tile', { has: page.getByAltText(name, { exact: true }) });
const panel = (page) => page.locator('.panel');

describe('the gallery page', { concurrency: false }, () => {
  let app;
  let browser;
  before(async () => {
    [app, browser] = await Promise.all([startApp(), startBrowser()]);
  });
  after(async () => {
    await browser?.close();
    await app?.stop();
  });

  /** A project with a gallery of `count` pictures, and a signed-in page that shows it. */
  async function shopPage(count, options = {}) {
    const shop = await makeShop(app, [app.host]);
    const gallery = await makeGallery(app, shop, count);
    const page = await openPage(browser, app, { path: `/#/gallery/${gallery.gallery_id}?project=${shop.project_id}`, ...options });
    await until(async () => (await tiles(page).count()) === count, `${count} tiles`);
    return { page, shop, gallery };
  }

  test('before sign-in the page has no error; photos chosen then are added once the key is given', async () => {
    const page = await openPage(browser, app, { signedIn: false });
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await noFindings(page, 'signed out');
    await choose(page, pictures(2));
    await page.getByText('2 photos chosen').waitFor();
    await page.getByLabel('Admin key').fill('eyl_admin_wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('not the admin key of this server').waitFor();
    await page.getByLabel('Admin key').fill(app.key);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: '2 added' }).waitFor();
    await until(async () => (await tiles(page).count()) === 2, 'two tiles');
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  test('a sign-in link works once and leaves no ticket in the address', async () => {
    const { url } = await app.api('POST', '/session/links');
    const link = app.host + new URL(url).pathname + new URL(url).hash;
    const page = await openPage(browser, app, { signedIn: false });
    await page.goto(link);
    await page.locator('header.top').waitFor();
    await page.reload();
    await page.locator('header.top').waitFor();
    assert.ok(!page.url().includes('ticket'), page.url());
    const other = await openPage(browser, app, { signedIn: false, path: `/${new URL(url).hash}` });
    await other.getByText('This sign-in link was used or has expired').waitFor();
    await Promise.all([page.context().close(), other.context().close()]);
  });

  test('the demo learns what its visitors like, and is deleted whole', async () => {
    const page = await openPage(browser, app, { path: '/#/welcome' });
    await page.getByRole('heading', { name: 'Three ways to begin' }).waitFor();
    await noFindings(page, 'first run');
    await page.getByRole('button', { name: 'Start the demo' }).click();
    await page.getByRole('button', { name: '12 added' }).waitFor();
    await until(async () => (await tiles(page).count()) === 12, 'twelve tiles');
    const placeOf = async (name) => (await names(page)).indexOf(name);
    const first = await placeOf('Golden hour.jpg');
    for (let wave = 0; wave < 3; wave++) {
      await page.getByRole('button', { name: 'Send 100 visitors' }).click();
      await until(() => page.getByRole('button', { name: 'Send 100 visitors' }).isEnabled(), 'a wave');
    }
    await until(async () => (await placeOf('Golden hour.jpg')) < Math.min(3, first), async () => `a favourite near the top: ${await names(page)}`);
    await photo(page, 'Fog line.jpg').locator('a').click();
    const project = new URLSearchParams(page.url().split('?')[1]).get('project');
    await until(async () => (await app.api('GET', `/events?project_id=${project}&limit=2`)).events.some(({ name }) => name === 'click'), 'the own click');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Delete the demo' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await until(async () => !(await app.api('GET', '/projects')).projects.some(({ project_id }) => project_id === project), 'no demo');
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  test('of twenty photos with three bad ones the failures are told and the rest is shown', async () => {
    const { page } = await shopPage(0);
    const bad = [
      { name: 'empty.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(0) },
      { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('notes') },
      { name: 'noise.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('this is no picture at all') },
    ];
    await choose(page, [...pictures(17), ...bad]);
    await page.getByRole('button', { name: '17 added · 3 failed' }).waitFor();
    await page.getByRole('button', { name: '17 added · 3 failed' }).click();
    await page.getByText('The file is empty (0 bytes).').waitFor();
    await page.getByText('Files of type text/plain are not taken.').waitFor();
    assert.equal(await page.getByRole('button', { name: /^Retry/ }).count(), 0, 'no other attempt can help');
    await until(async () => (await tiles(page).count()) === 17, 'seventeen tiles');
    await page.getByRole('button', { name: 'Clear added' }).click();
    await page.getByRole('button', { name: '0 added · 3 failed' }).waitFor();
    await page.context().close();
  });

  test('a photo that the project has is not sent again, and the gallery gets it', async () => {
    const { page, shop } = await shopPage(0);
    await choose(page, pictures(1));
    await page.getByRole('button', { name: /^1 added$/ }).waitFor();
    const { gallery_id } = await app.api('POST', '/galleries', { project_id: shop.project_id, name: 'Second' });
    await page.goto(`${app.host}/#/gallery/${gallery_id}?project=${shop.project_id}`);
    await page.reload();
    await page.getByRole('heading', { name: 'No photos yet' }).waitFor();
    const sent = [];
    page.on('request', (request) => request.url().includes('/incoming') && sent.push(request.url()));
    await choose(page, [{ ...pictures(1)[0], name: 'another name.png' }]);
    await page.getByRole('button', { name: '1 added' }).click();
    await page.getByText('Already in the project').waitFor();
    await until(async () => (await tiles(page).count()) === 1, 'the photo in the second gallery');
    assert.deepEqual(sent, []);
    assert.equal((await app.api('GET', `/projects/${shop.project_id}/images`)).images.length, 1);
    await page.context().close();
  });

  test('an upload goes on after a reload, and nothing is sent twice', async () => {
    const { page, shop } = await shopPage(0);
    // No file arrives before the page was loaded again.
    let release;
    const released = new Promise((resolve) => (release = resolve));
    await page.route('**/incoming**', (route) => released.then(() => route.continue()).catch(() => {}));
    const images = async () => (await app.api('GET', `/projects/${shop.project_id}/images`)).images;
    const isKept = (count) => until(() => page.evaluate(async (wanted) => {
      const opened = indexedDB.open('eyeline.uploads');
      const database = await new Promise((resolve) => (opened.onsuccess = () => resolve(opened.result)));
      const counted = database.transaction('files').objectStore('files').count();
      const found = await new Promise((resolve) => (counted.onsuccess = () => resolve(counted.result)));
      database.close();
      return found === wanted;
    }, count), `${count} files kept`);
    await choose(page, pictures(4));
    await isKept(4);
    await until(async () => (await images()).length === 4, 'four links');
    await page.reload();
    release();
    await page.getByRole('button', { name: '4 added' }).waitFor();
    await until(async () => (await tiles(page).count()) === 4, 'four tiles');
    assert.equal((await images()).length, 4, 'each was sent once');
    await isKept(0);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  test('pin, hide and delete hold on the server, and each can be undone', async () => {
    const { page, gallery } = await shopPage(6);
    const first = async () => (await app.api('GET', `/galleries/${gallery.gallery_id}/images?limit=1`)).items[0].name;
    const wanted = (await names(page))[4];
    await photo(page, wanted).locator('a').click();
    await panel(page).getByRole('button', { name: 'Pin…' }).click();
    await page.getByLabel('Rank', { exact: true }).fill('1');
    await page.getByRole('button', { name: 'Pin', exact: true }).click();
    await panel(page).getByText('Pinned to rank 1').waitFor();
    await until(async () => (await first()) === wanted, 'the pinned photo first');
    await panel(page).getByText('A rule pins it to rank 1.').or(panel(page).getByText('It has rank')).first().waitFor();
    await noFindings(page, 'a photo');
    await panel(page).getByRole('button', { name: 'Unpin' }).click();
    await until(async () => (await first()) !== wanted, 'the photo back');

    await panel(page).getByRole('button', { name: 'Hide' }).click();
    await until(async () => !(await names(page)).includes(wanted), 'a hidden photo');
    await page.getByRole('button', { name: 'Undo' }).last().click();
    await until(async () => (await names(page)).includes(wanted), 'the photo shown again');

    await photo(page, wanted).locator('a').click();
    await panel(page).getByRole('button', { name: 'Delete' }).click();
    await until(async () => !(await names(page)).includes(wanted), 'a photo gone');
    await page.getByRole('button', { name: 'Undo' }).last().click();
    await until(async () => (await names(page)).includes(wanted), 'the photo back again');
    await photo(page, wanted).locator('a').click();
    await panel(page).getByRole('button', { name: 'Delete' }).click();
    await until(async () => (await app.api('GET', `/galleries/${gallery.gallery_id}/images?limit=100`)).items.length === 5, 'five photos left');
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  test('a photo’s title, link and tags are changed; wrong ones are told at their field', async () => {
    const { page, gallery } = await shopPage(1);
    await tiles(page).locator('a').first().click();
    await panel(page).getByLabel('Link').fill('javascript:alert(1)');
    await panel(page).getByRole('button', { name: 'Save' }).click();
    await panel(page).locator('.field .problem').waitFor();
    await panel(page).getByLabel('Title').fill('Red shoes');
    await panel(page).getByLabel('Link').fill('https://shop.example/p/1');
    await panel(page).getByLabel('Tags').fill('shoes, red');
    await panel(page).getByRole('button', { name: 'Save' }).click();
    await until(async () => (await app.api('GET', `/images/${gallery.ids[0]}`)).tags.length === 2, 'two tags');
    assert.equal((await app.api('GET', `/images/${gallery.ids[0]}`)).link, 'https://shop.example/p/1');
    await panel(page).getByRole('link', { name: 'Open its page' }).waitFor();
    await panel(page).getByRole('heading', { name: 'Red shoes' }).waitFor();
    await page.context().close();
  });

  test('a second gallery is made, filled with selected photos, renamed and deleted', async () => {
    const { page, shop, gallery } = await shopPage(4);
    await page.getByRole('button', { name: 'New gallery' }).click();
    await page.getByRole('button', { name: 'Create' }).click();
    await page.locator('dialog .field .problem').waitFor();
    await page.getByLabel('Name').fill('Sale');
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('heading', { name: 'No photos yet' }).waitFor();
    await page.goBack();
    await until(async () => (await tiles(page).count()) === 4, 'the first gallery');
    await tiles(page).nth(0).locator('.pick').click();
    await tiles(page).nth(2).locator('.pick').click({ modifiers: ['Shift'] });
    await page.getByText('3 photos selected').first().waitFor();
    await page.getByRole('button', { name: 'Move…' }).click();
    await page.getByRole('button', { name: 'Move', exact: true }).click();
    await until(async () => (await tiles(page).count()) === 1, 'one photo left');
    await page.getByLabel('Gallery shown').selectOption('Sale');
    await until(async () => (await tiles(page).count()) === 3, 'three photos moved');
    await page.getByRole('button', { name: 'Change the gallery' }).click();
    await page.getByLabel('Name').fill('Winter sale');
    await page.getByRole('button', { name: 'Save' }).click();
    await until(async () => (await app.api('GET', `/galleries?project_id=${shop.project_id}`)).galleries.some(({ name }) => name === 'Winter sale'), 'a new name');
    await page.getByRole('button', { name: 'Change the gallery' }).click();
    await page.getByRole('button', { name: 'Delete the gallery…' }).click();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await until(async () => (await app.api('GET', `/galleries?project_id=${shop.project_id}`)).galleries.length === 1, 'one gallery');
    assert.equal((await app.api('GET', `/projects/${shop.project_id}/images`)).images.length, 4, 'its photos stay');
    assert.ok(gallery);
    await page.context().close();
  });

  test('the owner arranges the photos by hand, and takes that back', async () => {
    const { page, gallery } = await shopPage(4);
    const link = (name) => page.getByRole('link', { name, exact: true });
    const order = async () => (await app.api('GET', `/galleries/${gallery.gallery_id}/images`)).items.map(({ image_id }) => gallery.ids.indexOf(image_id));
    const before = await order();
    await link('Order').click();
    await page.getByRole('button', { name: 'Arrange…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Arrange the photos' });
    await dialog.locator('li').nth(3).waitFor();
    await noFindings(page, 'photos to arrange');
    await dialog.locator('li').nth(3).getByRole('button', { name: /^To the top/ }).click();
    await dialog.locator('li').nth(1).getByRole('button', { name: /^Down/ }).click();
    await dialog.getByRole('button', { name: 'Save' }).click();
    const wanted = [before[3], before[1], before[0], before[2]];
    await until(async () => JSON.stringify(await order()) === JSON.stringify(wanted), async () => `${wanted}: ${await order()}`);
    await page.getByRole('button', { name: 'Undo' }).last().click();
    await until(async () => JSON.stringify(await order()) === JSON.stringify(before), 'the order before');
    await until(async () => (await app.api('GET', `/galleries/${gallery.gallery_id}`)).ranking.strategy === 'weight', 'the strategy before');
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  test('a catalogue is imported from a file, and its rejected rows say why', async () => {
    const { page, gallery } = await shopPage(0);
    await page.getByRole('button', { name: 'Import a catalogue' }).click();
    const dialog = page.getByRole('dialog', { name: 'Import a catalogue' });
    await dialog.getByRole('button', { name: 'Load' }).click();
    await dialog.getByText('Choose a file.').waitFor();
    const rows = ['external_id,url,name', ...[1, 2, 3].map((at) => `sku-${at},${app.host}/app/icon.svg?${at},Shoe ${at}`), 'sku-4,nowhere,Shoe 4'];
    await dialog.getByLabel('File').setInputFiles({ name: 'feed.csv', mimeType: 'text/csv', buffer: Buffer.from(rows.join('\n')) });
    await dialog.getByRole('button', { name: 'Load' }).click();
    await dialog.getByRole('row', { name: /^4 url: / }).waitFor();
    await noFindings(page, 'an imported catalogue');
    await page.keyboard.press('Escape');
    await until(async () => (await tiles(page).count()) === 3, 'three tiles');
    const { items } = await app.api('GET', `/galleries/${gallery.gallery_id}/images`);
    assert.deepEqual(items.map(({ name }) => name).sort(), ['Shoe 1', 'Shoe 2', 'Shoe 3']);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  test('every state has an address: Back walks through them, and a link opens the same', async () => {
    const { page } = await shopPage(3);
    await tiles(page).first().locator('a').click();
    await page.locator('.lightbox').waitFor();
    const link = page.url();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Escape');
    await page.locator('.segments').getByText('Newest first').click();
    await page.locator('.segments').getByText('By views and clicks').click();
    const isChosen = (order) => until(() => page.getByRole('radio', { name: order }).isChecked(), order);
    await isChosen('By views and clicks');
    await page.goBack();
    await isChosen('Newest first');
    await page.goBack();
    await isChosen('As visitors see it');
    await page.goBack();
    await page.locator('.lightbox').waitFor();
    await page.goBack();
    await page.locator('.lightbox').waitFor({ state: 'detached' });
    await page.goto('about:blank');
    await page.goto(link);
    await page.locator('.lightbox img').waitFor();
    await page.context().close();
  });

  test('Back walks through twelve states, one at a time, to the first', async () => {
    const { page } = await shopPage(3);
    const link = (name, within = page) => within.getByRole('link', { name, exact: true });
    const pagesBar = page.getByRole('navigation', { name: 'Pages' });
    const isShown = (locator) => () => locator.first().waitFor();
    const states = [
      ['the gallery', null, isShown(tiles(page))],
      ['another order', () => page.locator('.segments').getByText('Newest first').click(), () => until(() => page.getByRole('radio', { name: 'Newest first' }).isChecked(), 'newest')],
      ['a photo', () => tiles(page).first().locator('a').click(), isShown(page.locator('.lightbox'))],
      ['no photo', () => page.keyboard.press('Escape'), () => page.locator('.lightbox').waitFor({ state: 'detached' })],
      ['the strategy', () => link('Order').click(), isShown(page.getByRole('heading', { name: 'Strategy' }))],
      ['the public page', () => link('Share').click(), isShown(page.getByRole('switch', { name: 'Public page' }))],
      ['images', () => link('Images', pagesBar).click(), isShown(page.locator('tbody a.name'))],
      ['an image', () => page.locator('tbody a.name').first().click(), isShown(page.getByRole('dialog'))],
      ['no image', () => page.keyboard.press('Escape'), () => page.getByRole('dialog').waitFor({ state: 'detached' })],
      ['events', () => link('Events', pagesBar).click(), isShown(page.getByLabel('Category'))],
      ['types', () => link('Types').click(), isShown(page.getByText('New type', { exact: true }))],
      ['reports', () => link('Insight', pagesBar).click(), isShown(page.getByText('Nothing in this period').or(page.locator('.answers')))],
      ['settings', () => link('Settings', pagesBar).click(), isShown(page.getByRole('button', { name: 'New application' }))],
    ];
    const addresses = [];
    for (const [name, open, look] of states) {
      await open?.();
      await look();
      assert.notEqual(page.url(), addresses.at(-1), name);
      addresses.push(page.url());
    }
    for (let at = states.length - 2; at >= 0; at--) {
      await page.goBack();
      const [name, , look] = states[at];
      assert.equal(page.url(), addresses[at], name);
      await look();
    }
    assert.deepEqual(page.problems, []);
    await page.context().close();
  });

  test('two tabs show the same: what is added, hidden or pinned in one is seen in the other', async () => {
    const { page, gallery } = await shopPage(4);
    const other = await page.context().newPage();
    await other.goto(page.url());
    await until(async () => (await tiles(other).count()) === 4, 'four tiles in the other tab');
    await choose(page, pictures(1, 50));
    await until(async () => (await tiles(other).count()) === 5, 'the new photo in the other tab');
    const [first] = await names(other);
    await photo(other, first).locator('a').click();
    await panel(other).getByRole('button', { name: 'Hide' }).click();
    await until(async () => !(await names(page)).includes(first), 'a photo hidden in both');
    const last = (await names(page)).at(-1);
    const id = (await app.api('GET', `/galleries/${gallery.gallery_id}/images?limit=100`)).items.find(({ name }) => name === last).image_id;
    await app.api('PUT', `/galleries/${gallery.gallery_id}/rules`, { pin: [{ image_id: id, position: 1 }] });
    for (const tab of [page, other]) await until(async () => (await names(tab))[0] === last, 'the pinned photo first in both');
    await page.context().close();
  });

  test('uploads of a tab that is closed go on in another one', async () => {
    const { page, shop } = await shopPage(0);
    const other = await page.context().newPage();
    // The files of the first tab never arrive.
    await page.route('**/incoming**', () => {});
    await choose(page, pictures(3));
    const images = async () => (await app.api('GET', `/projects/${shop.project_id}/images`)).images;
    await until(async () => (await images()).length === 3, 'three links');
    await other.goto(page.url());
    await other.getByRole('heading', { name: 'No photos yet' }).waitFor();
    await page.close();
    await other.getByRole('button', { name: '3 added' }).waitFor();
    await until(async () => (await tiles(other).count()) === 3, 'three tiles');
    assert.equal((await images()).length, 3, 'each was sent once');
    await other.context().close();
  });

  test('looking at one’s own gallery sends no view and no click', async () => {
    const { page, shop } = await shopPage(3);
    const sent = [];
    page.on('request', (request) => request.method() === 'POST' && request.url().includes('/events') && sent.push(request.url()));
    for (let at = 0; at < 3; at++) {
      await tiles(page).nth(at).locator('a').click();
      await page.locator('.lightbox .frame.loaded').waitFor();
      await page.keyboard.press('Escape');
    }
    // A tracker sends what it holds when its page is left.
    await page.goto('about:blank');
    assert.deepEqual(sent, []);
    assert.deepEqual(await shop.events(), []);
    await page.context().close();
  });

  test('an outage is told, photos chosen during it wait, and the page recovers by itself', async () => {
    const { page } = await shopPage(1);
    await page.context().setOffline(true);
    await page.getByRole('alert').filter({ hasText: 'cannot be reached' }).first().waitFor();
    await choose(page, pictures(2, 20));
    await page.getByText('2 photos waiting').waitFor();
    await page.context().setOffline(false);
    await until(async () => (await tiles(page).count()) === 3, 'the photos that waited');
    await page.getByText('Live', { exact: true }).waitFor();
    assert.equal(await page.locator('.banner.bad').count(), 0);
    await page.context().close();
  });

  test('the keyboard has one stop in the grid, arrows walk, x selects', async () => {
    const { page } = await shopPage(5);
    assert.equal(await page.locator('.tile > a[tabindex="0"]').count(), 1);
    await page.locator('.tile > a[tabindex="0"]').focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('x');
    await page.keyboard.press('Shift+ArrowRight');
    await page.getByText('2 photos selected').first().waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await page.locator('.lightbox').waitFor();
    await page.context().close();
  });

  /** A gallery of `count` images from a feed, and a signed-in page that shows it. */
  async function longPage(count) {
    const shop = await makeShop(app, [app.host]);
    const { gallery_id } = await app.api('POST', '/galleries', { project_id: shop.project_id, name: 'long' });
    const row = (at) => JSON.stringify({ external_id: `shoe-${at}`, name: `Shoe ${at}`, url: `${app.host}/app/icon.svg?${at}`, width: 300, height: 200 });
    await app.api('POST', `/galleries/${gallery_id}/dataset`, Array.from({ length: count }, (_, at) => row(at)).join('\n'), { 'Content-Type': 'application/x-ndjson' });
    await app.api('POST', `/galleries/${gallery_id}/refresh`);
    const page = await openPage(browser, app, { path: `/#/gallery/${gallery_id}?project=${shop.project_id}` });
    await tiles(page).first().waitFor();
    return { page, gallery_id };
  }

  test('at the end of the photos that are there, the next ones come below and the reader stays', async () => {
    const { page } = await longPage(500);
    let release;
    const released = new Promise((resolve) => (release = resolve));
    let asked = 0;
    await page.route('**/images?**cursor=**', (route) => (asked++, released.then(() => route.continue()).catch(() => {})));
    await page.evaluate(() => scrollTo({ top: 1e6, behavior: 'instant' }));
    await until(() => asked === 1, 'a question for the next page');
    const [top, height] = await page.evaluate(() => [scrollY, document.documentElement.scrollHeight]);
    release();
    await until(() => page.evaluate((before) => document.documentElement.scrollHeight > before, height), 'a longer page');
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    assert.equal(await page.evaluate(() => scrollY), top);
    assert.ok(asked <= 2, `${asked} pages were read`);
    await page.context().close();
  });

  test('right after a jump below the first page, a new order waits for its button', async () => {
    const { page, gallery_id } = await longPage(150);
    const jump = (top) => page.evaluate((to) => scrollTo({ top: to, behavior: 'instant' }), top);
    await until(async () => (await jump(1e6), page.locator('.tile[data-index="149"]').isVisible()), 'the last photo');
    await jump(0);
    await page.locator('.tile[data-index="3"]').waitFor();
    // No tile follows the next jump, so the page stays as it is in the moment after one.
    await page.evaluate(() => addEventListener('scroll', (event) => event.stopImmediatePropagation(), { capture: true }));
    await jump(1e6);
    await app.api('PATCH', `/galleries/${gallery_id}`, { ranking: { strategy: 'newest' } });
    await app.api('PUT', `/galleries/${gallery_id}/rules`, { pin: [{ external_id: 'shoe-70', position: 1 }] });
    await page.getByRole('button', { name: 'The order changed. Show it' }).waitFor();
    await page.context().close();
  });

  test('on a phone in the dark nothing is wider than the screen, and axe finds nothing', async () => {
    const { page } = await shopPage(6, { viewport: { width: 360, height: 740 }, colorScheme: 'dark' });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
    await noFindings(page, 'phone');
    await page.context().close();
  });
});
