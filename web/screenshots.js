/**
 * Writes pictures of every page, wide and phone, light and dark, to `screenshots/`: of a shop, of a project with much in
 * it, of an empty one, and with dialogs open. Reports what axe finds on each. Arguments: parts of the names of the pictures
 * to take; none takes all.
 */

import { mkdirSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findings, isDrawn, openPage, pictures, startApp, startBrowser, until } from './browser/support.js';
import { fillLarge, fillShop, makeEmpty, pagesOf } from './browser/shop.js';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'screenshots');
const WIDE = { width: 1360, height: 850 };
const PHONE = { width: 390, height: 844 };
const LOOKS = [['wide-light', WIDE, 'light'], ['phone-dark', PHONE, 'dark'], ['wide-dark', WIDE, 'dark'], ['phone-light', PHONE, 'light']];
const DEADLINE_MS = 90_000;
const wanted = process.argv.slice(2);

const badFiles = [
  { name: 'empty.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(0) },
  { name: 'notes of a meeting with a very long name indeed.txt', mimeType: 'text/plain', buffer: Buffer.from('notes') },
];

/** Pages with something opened: the page of `pagesOf`, and the steps that open it. */
const SCENES = {
  search: ['images', async (page) => {
    await page.getByRole('button', { name: 'Search (key /)' }).click();
    await page.getByRole('combobox', { name: 'Search' }).fill('sho');
    await page.getByRole('listbox').getByRole('option').first().waitFor();
  }],
  keys: ['images', async (page) => (await page.locator('tbody tr').first().waitFor(), page.keyboard.press('?'), page.getByRole('dialog').waitFor())],
  menu: ['images', (page) => page.getByLabel('More').click()],
  selection: ['gallery', async (page) => {
    await page.locator('.tile > a').first().focus();
    for (const key of ['x', 'Shift+ArrowRight']) await page.keyboard.press(key);
    await page.locator('.selection').waitFor();
  }],
  uploads: ['gallery', async (page) => {
    await page.locator('#upload').setInputFiles([...pictures(3, 90), ...badFiles]);
    await page.getByRole('button', { name: /2 failed/ }).click();
  }],
  'new-gallery': ['gallery', (page) => page.getByRole('button', { name: 'New gallery' }).click()],
  'edit-gallery': ['gallery', (page) => page.getByRole('button', { name: 'Change the gallery' }).click()],
  pin: ['photo', (page) => page.locator('.panel').getByRole('button', { name: 'Pin…' }).click()],
  move: ['photo', (page) => page.locator('.panel').getByRole('button', { name: 'Move…' }).click()],
  rule: ['order', (page) => page.getByRole('button', { name: 'Add a rule' }).click()],
  image: ['images', (page) => page.locator('tbody a.name').last().click()],
  event: ['events', (page) => page.locator('tbody a').first().click()],
  application: ['applications', (page) => page.getByRole('button', { name: 'New application' }).click()],
  'sql-error': ['sql', async (page) => {
    await page.goto(page.url().replace(/q=[^&]*/, 'q=SELECT+nothing+FROM+nowhere'));
    await page.getByRole('alert').waitFor();
  }],
  away: ['gallery', async (page) => (await page.context().setOffline(true), page.getByRole('alert').first().waitFor())],
  missing: ['gallery', (page) => page.goto(page.url().replace(/project=[^&]*/, 'project=01890000-0000-7000-8000-000000000000'))],
};

const [app, browser] = await Promise.all([startApp(), startBrowser()]);
mkdirSync(FOLDER, { recursive: true });

async function take(page, shot) {
  // A picture of a page that goes on loading tells that; the report says so.
  await until(() => page.evaluate(isDrawn), shot, DEADLINE_MS).catch((error) => console.log(`${shot}: ${error.message}`));
  await page.screenshot({ path: join(FOLDER, `${shot}.png`) });
  const width = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  for (const problem of [...(await findings(page)), ...page.problems.splice(0), ...(width > 0 ? [`${width} pixels too wide`] : [])]) console.log(`${shot}: ${problem}`);
}

try {
  const shop = await fillShop(app);
  await app.api('PATCH', `/galleries/${shop.gallery_id}`, { page: { enabled: true } });
  const empty = await makeEmpty(app);
  const isWanted = (name) => wanted.length === 0 || LOOKS.some(([look]) => wanted.some((part) => `${name}-${look}`.includes(part)));
  const large = ['large-'].some((name) => wanted.length === 0 || wanted.some((part) => part.includes(name))) ? await fillLarge(app) : null;
  const named = (prefix, of) => Object.entries(pagesOf(of)).map(([name, address]) => [prefix + name, address, null]);
  const pages = pagesOf(shop);
  const all = [
    ...named('', shop),
    ...named('empty-', empty).filter(([name]) => !/photo|welcome|type$|cause/.test(name)),
    ...(large ? named('large-', large).filter(([name]) => !/welcome|type$|cause|sql/.test(name)) : []),
    ['public', `g/${shop.gallery_id}`, null],
    ['docs', 'docs', null],
    ...Object.entries(SCENES).map(([name, [under, open]]) => [name, pages[under], open]),
  ].filter(([name]) => isWanted(name));
  for (const [look, viewport, colorScheme] of LOOKS) {
    const options = { viewport, colorScheme, reducedMotion: 'reduce' };
    const signedOut = await openPage(browser, app, { ...options, signedIn: false });
    await signedOut.getByRole('button', { name: 'Sign in' }).waitFor();
    if (isWanted('sign-in')) await take(signedOut, `sign-in-${look}`);
    await signedOut.context().close();
    const page = await openPage(browser, app, options);
    for (const [name, address, open] of all) {
      const shot = `${name}-${look}`;
      if (wanted.length && !wanted.some((part) => shot.includes(part))) continue;
      await page.goto('about:blank');
      await page.goto(`${app.host}/${address}`, { waitUntil: 'networkidle' });
      try {
        if (open) {
          await until(() => page.evaluate(isDrawn), shot, DEADLINE_MS);
          await open(page);
        }
        await take(page, shot);
      } catch (error) {
        console.log(`${shot}: ${error.message}`);
      }
      await page.context().setOffline(false);
    }
    await page.context().close();
  }
} finally {
  await browser.close();
  await app.stop();
}
