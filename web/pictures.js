/** Writes the picture of the README to `docs/pictures`, as WebP, from a server with the demo in it. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDrawn, openPage, startApp, startBrowser, until } from './browser/support.js';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '../docs/pictures');
const BYTES_MAX = 250_000;
const WAVES = 4;
/** Work beside this may slow the machine. */
const DEADLINE_MS = 600_000;

/** A PNG as WebP, by the browser's own encoder. */
const toWebp = async (png) => {
  const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: 'image/webp', quality: 0.85 })).arrayBuffer());
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''));
};

const [app, browser] = await Promise.all([startApp(), startBrowser()]);
mkdirSync(FOLDER, { recursive: true });
try {
  const page = await openPage(browser, app, { path: '/#/welcome', viewport: { width: 1360, height: 820 }, colorScheme: 'light', reducedMotion: 'reduce' });
  await page.getByRole('button', { name: 'Start the demo' }).click();
  await page.getByRole('button', { name: /^12 added$/ }).waitFor({ timeout: DEADLINE_MS });
  await until(async () => (await page.locator('.tile').count()) === 12, 'twelve tiles', DEADLINE_MS);
  await page.getByRole('button', { name: 'Clear added' }).click();
  const wave = page.getByRole('button', { name: 'Send 100 visitors' });
  for (let sent = 0; sent < WAVES; sent++) {
    await wave.click();
    await until(() => wave.isEnabled(), 'a wave', DEADLINE_MS);
  }
  // The last notice goes, and the order settles.
  await page.waitForTimeout(10_000);
  await until(() => page.evaluate(isDrawn), 'a drawn gallery', DEADLINE_MS);
  const encoder = await browser.newPage();
  const bytes = Buffer.from(await encoder.evaluate(toWebp, (await page.screenshot()).toString('base64')), 'base64');
  if (bytes.length > BYTES_MAX) throw new Error(`The picture has ${bytes.length} bytes, at most ${BYTES_MAX} are wanted.`);
  writeFileSync(join(FOLDER, 'gallery.webp'), bytes);
} finally {
  await browser.close();
  await app.stop();
}
