/** Scrolling through galleries of 10,000 images: how many tiles the document has, and how long frames take. */

import { setTimeout as sleep } from 'node:timers/promises';

const SCROLL_MS = 8_000;
/** Pixels a second: two thirds of a screen each 0.1 s. */
const SPEED = 6_000;

/** Runs in the page: scrolls down without a pause, and gives the times between frames and the most tiles. */
async function scrollDown({ milliseconds, speed, selector }) {
  const tiles = () => {
    const roots = [document, ...[...document.querySelectorAll('*')].flatMap(({ shadowRoot }) => shadowRoot ?? [])];
    return roots.reduce((sum, root) => sum + root.querySelectorAll(selector).length, 0);
  };
  const frames = [];
  let most = 0;
  const begin = performance.now();
  let last = begin;
  while (last - begin < milliseconds) {
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    scrollBy({ top: (speed * (now - last)) / 1000, behavior: 'instant' });
    last = now;
    if (frames.length % 10 === 0) most = Math.max(most, tiles());
  }
  return { frames: frames.slice(1), most: Math.max(most, tiles()), top: Math.round(scrollY) };
}

/** One visit: `p95` of the frames in ms, `tiles` at the most, and how far it came in pixels. */
export async function scroll(browser, url, cookies = []) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  try {
    await context.addCookies(cookies);
    const page = await context.newPage();
    await page.goto(url);
    await page.locator('.tile').first().waitFor();
    await sleep(1_000);
    const { frames, most, top } = await page.evaluate(scrollDown, { milliseconds: SCROLL_MS, speed: SPEED, selector: '.tile' });
    frames.sort((a, b) => a - b);
    const at = (share) => frames[Math.max(0, Math.ceil(frames.length * share) - 1)];
    return { p50: at(0.5), p95: at(0.95), tiles: most, top };
  } finally {
    await context.close();
  }
}
