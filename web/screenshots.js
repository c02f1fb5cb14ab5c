/**
 * Writes pictures of every page, wide and phone, light and dark, to `screenshots/`, from a server with a demo in it.
 * Reports what axe finds on each. Arguments: parts of the names of the pages to take; none takes all.
 */

import { mkdirSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findings, isDrawn, openPage, startApp, startBrowser, until } from './browser/support.js';
import { fillShop, pagesOf } from './browser/shop.js';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), 'screenshots');
const WIDE = { width: 1360, height: 850 };
const PHONE = { width: 390, height: 844 };
const LOOKS = [['wide-light', WIDE, 'light'], ['phone-dark', PHONE, 'dark'], ['wide-dark', WIDE, 'dark'], ['phone-light', PHONE, 'light']];
const wanted = process.argv.slice(2);

const [app, browser] = await Promise.all([startApp(), startBrowser()]);
mkdirSync(FOLDER, { recursive: true });
try {
  const signedOut = await openPage(browser, app, { signedIn: false });
  await signedOut.getByRole('button', { name: 'Sign in' }).waitFor();
  const shop = await fillShop(app);
  const pages = pagesOf(shop);
  for (const [look, viewport, colorScheme] of LOOKS) {
    const page = await openPage(browser, app, { viewport, colorScheme, reducedMotion: 'reduce' });
    let pending = 0;
    page.on('request', () => pending++);
    for (const end of ['requestfinished', 'requestfailed']) page.on(end, () => pending--);
    for (const [name, address] of Object.entries(pages)) {
      const shot = `${name}-${look}`;
      if (wanted.length && !wanted.some((part) => shot.includes(part))) continue;
      await page.goto(`${app.host}/${address}`);
      await until(async () => (await page.evaluate(isDrawn)) && pending <= 0, `${name} loaded`);
      await page.screenshot({ path: join(FOLDER, `${shot}.png`) });
      const width = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      for (const problem of [...(await findings(page)), ...page.problems.splice(0), ...(width > 0 ? [`${width} pixels too wide`] : [])]) console.log(`${shot}: ${problem}`);
    }
    await page.context().close();
  }
} finally {
  await browser.close();
  await app.stop();
}
