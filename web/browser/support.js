/** The built server and a browser for the journeys. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';
import { png, startBrowser, startEyeline, until } from '../../clients/js/support/eyeline.js';
import { bundle } from '../build.js';
import { front } from '../dev.js';

export { png, startBrowser, until };

/** A server and its page. With EYELINE_WEB=sources the page is built from the sources, not taken from the binary. */
export async function startApp(settings = {}) {
  if (process.env.EYELINE_WEB !== 'sources') return startEyeline(settings);
  let target;
  const built = await bundle();
  const before = front(() => target, 0, () => built);
  await once(before, 'listening');
  const host = `http://127.0.0.1:${before.address().port}`;
  const eyeline = await startEyeline({ EYELINE_PUBLIC_URL: host, ...settings });
  target = eyeline.host;
  const stop = async () => {
    before.closeAllConnections();
    before.close();
    await eyeline.stop();
  };
  return { ...eyeline, host, stop };
}

/** A page that fails the test on errors in its console. `signedIn` pages carry a session. */
export async function openPage(browser, app, { path = '/', signedIn = true, ...context } = {}) {
  const opened = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...context });
  // Other work may slow the machine.
  opened.setDefaultTimeout(90_000);
  const page = await opened.newPage();
  page.problems = [];
  page.on('console', (message) => {
    // A refused request is told by the page itself.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) page.problems.push(message.text());
  });
  page.on('pageerror', (error) => page.problems.push(String(error)));
  if (signedIn) {
    const { url } = await app.api('POST', '/session/links');
    await page.goto(`${app.host}/${new URL(url).hash}`);
    await page.locator('header.top').waitFor();
  }
  if (!signedIn || path !== '/') await page.goto(app.host + path);
  return page;
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** The findings of axe on the page, of any severity. */
export async function findings(page) {
  await page.evaluate(AXE);
  return page.evaluate(async () => (await window.axe.run(document)).violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 160)}`));
}

export const noFindings = async (page, what) => assert.deepEqual(await findings(page), [], what);

/** The pictures as files for a file field. */
export const pictures = (count, from = 0) =>
  Array.from({ length: count }, (_, at) => ({ name: `picture ${from + at + 1}.png`, mimeType: 'image/png', buffer: png(240 + ((at * 53) % 160), 200, from + at) }));

/** Two frames after the last change: whether nothing is being loaded, and every picture on the screen is drawn. */
export async function isDrawn() {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  const shown = [...document.images].filter((image) => {
    const { top, bottom, width } = image.getBoundingClientRect();
    return width > 0 && bottom > 0 && top < innerHeight;
  });
  const isLoading = document.querySelector('main .loading, .panel .loading') || (document.querySelector('.grid:empty') && !document.querySelector('main .empty'));
  return !isLoading
    && shown.every((image) => image.complete && getComputedStyle(image).opacity === '1');
}
