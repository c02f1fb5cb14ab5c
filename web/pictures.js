/**
 * Writes the pictures of the README to `docs/pictures`, as WebP, from a server with the demo in it: three stills, and a
 * gallery that visitors reorder. That one shows the product's own animation, played slowly while it is photographed.
 * Arguments: `stills`, `reordering`; none takes all.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fillShop, pagesOf } from './browser/shop.js';
import { isDrawn, openPage, startApp, startBrowser, until } from './browser/support.js';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '../docs/pictures');
const wanted = process.argv.slice(2);
const isWanted = (name) => wanted.length === 0 || wanted.includes(name);
const STILL_BYTES_MAX = 150_000;
const MOVING_BYTES_MAX = 800_000;
const WAVES = 4;
/** Work beside this may slow the machine. */
const DEADLINE_MS = 600_000;

const MOVING = { width: 1180, height: 664 };
const MOVING_WIDTH = 840;
/** The ranks that a visitor clicks. */
const CLICKED = [10, 7];
/** The animation plays this many times slower than in life. */
const SLOWER = 40;
/** Milliseconds of the animation at which it is photographed, and for which each photograph stands. */
const STEPS = [30, 80, 130, 180, 240, 310, 400];
const STEP_MS = 60;

/** A PNG as WebP of this width, by the browser's own encoder. */
async function toWebp({ png, width, quality }) {
  const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const height = Math.round((bitmap.height * width) / bitmap.width);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { alpha: false });
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: 'image/webp', quality })).arrayBuffer());
  return { width, height, webp: btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), '')) };
}

/** The chunk of the image itself in a WebP without transparency. The browser puts a colour profile beside it. */
function imageOf(webp) {
  for (let at = 12; at < webp.length; at += 8 + webp.readUInt32LE(at + 4) + (webp.readUInt32LE(at + 4) % 2)) {
    const end = at + 8 + webp.readUInt32LE(at + 4);
    if (/^VP8[ L]$/.test(webp.toString('latin1', at, at + 4))) return webp.subarray(at, end + (end % 2));
  }
  throw new Error('A screenshot has no image.');
}

/** An animated WebP that repeats without end, by RFC 9649. `frames`: `{ webp, ms }`, all of one size. */
function animated(frames, { width, height }) {
  const chunk = (name, ...parts) => {
    const body = Buffer.concat(parts);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(body.length);
    return Buffer.concat([Buffer.from(name), length, body, Buffer.alloc(body.length % 2)]);
  };
  const uint24 = (number) => Buffer.from([number & 255, (number >> 8) & 255, number >> 16]);
  const size = Buffer.concat([uint24(width - 1), uint24(height - 1)]);
  const [origin, isWhole, isAnimation] = [Buffer.alloc(6), Buffer.from([2]), Buffer.from([2, 0, 0, 0])];
  return chunk(
    'RIFF',
    Buffer.from('WEBP'),
    chunk('VP8X', isAnimation, size),
    chunk('ANIM', Buffer.alloc(6)),
    ...frames.map(({ webp, ms }) => chunk('ANMF', origin, size, uint24(ms), isWhole, imageOf(webp))),
  );
}

/** Draws the pointer of a visitor into the page, where `window.point(x, y, isPressed)` puts it. */
function addPointer() {
  const pointer = document.createElement('div');
  pointer.innerHTML = '<svg width="34" height="34" viewBox="0 0 24 24"><circle cx="5" cy="4" r="4" fill="none" stroke="#1c3faa" stroke-width="0"/>'
    + '<path d="M5 3l6 16 2.4-6.6L20 10z" fill="#fff" stroke="#111" stroke-width="1.5" stroke-linejoin="round"/></svg>';
  Object.assign(pointer.style, { position: 'fixed', left: '0', top: '0', zIndex: '9', pointerEvents: 'none' });
  document.body.append(pointer);
  window.point = (x, y, isPressed) => {
    pointer.style.translate = `${x - 7}px ${y - 4}px`;
    pointer.style.scale = isPressed ? '.8' : '1';
  };
}

const [app, browser] = await Promise.all([startApp(), startBrowser()]);
mkdirSync(FOLDER, { recursive: true });
const encoder = await browser.newPage();
const encode = async (png, width, quality) => {
  const { webp, ...size } = await encoder.evaluate(toWebp, { png: png.toString('base64'), width, quality });
  return { webp: Buffer.from(webp, 'base64'), ...size };
};
const save = (name, bytes, bytesMax) => {
  if (bytes.length > bytesMax) throw new Error(`${name} has ${bytes.length} bytes, at most ${bytesMax} are wanted.`);
  writeFileSync(join(FOLDER, `${name}.webp`), bytes);
  console.log(`${name}.webp: ${bytes.length} bytes`);
};

/** Starts the demo, and sends it visitors; gives its project. */
async function fillDemo(page) {
  await page.getByRole('button', { name: 'Start the demo' }).click();
  await page.getByRole('button', { name: /^12 added$/ }).waitFor({ timeout: DEADLINE_MS });
  await until(async () => (await page.locator('.tile').count()) === 12, 'twelve tiles', DEADLINE_MS);
  await page.getByRole('button', { name: 'Clear added' }).click();
  const wave = page.getByRole('button', { name: 'Send 100 visitors' });
  for (let sent = 0; sent < WAVES; sent++) {
    await wave.click();
    await until(() => wave.isEnabled(), 'a wave', DEADLINE_MS);
  }
  return new URLSearchParams(page.url().split('?')[1]).get('project');
}

async function takeStills(page) {
  const take = async (name) => {
    await until(() => page.evaluate(isDrawn), `${name} drawn`, DEADLINE_MS);
    save(name, (await encode(await page.screenshot(), page.viewportSize().width, 0.82)).webp, STILL_BYTES_MAX);
  };
  const isSettled = () => page.evaluate(() => !document.querySelector('.notice') && !document.getAnimations().some(({ playState }) => playState === 'running'));
  await until(isSettled, 'no notice, and an order that rests', DEADLINE_MS);
  await take('gallery');
  // This strategy's score is a sum, so the panel shows its parts.
  await page.locator('.segments').getByText('By interest', { exact: true }).click();
  await page.getByText('Ordered by interest').waitFor();
  await page.locator('.tile a').first().click();
  await page.locator('.panel .parts').waitFor();
  await page.locator('.lightbox .frame.loaded').waitFor();
  await take('photo');
  // The visits of this shop were spread over a week.
  await page.goto(`${app.host}/${pagesOf(await fillShop(app)).dashboard}`);
  // The project was made after the page had read the list of them.
  await page.reload();
  await page.locator('.chart canvas').waitFor();
  await take('insight');
}

/** A gallery with the pictures of the demo that nobody has seen yet, and a visitor who clicks some. */
async function takeReordering(project_id) {
  const { images } = await app.api('GET', `/projects/${project_id}/images?limit=100`);
  const gallery = { project_id, name: 'Mountains', page: { enabled: true }, ranking: { strategy: 'weight' } };
  const { gallery_id } = await app.api('POST', '/galleries', gallery);
  for (const { image_id } of images) await app.api('PUT', `/galleries/${gallery_id}/images/${image_id}`);
  await app.api('POST', `/galleries/${gallery_id}/refresh`);

  const page = await openPage(browser, app, { signedIn: false, path: '/docs', viewport: MOVING, colorScheme: 'light', bypassCSP: true });
  await page.goto(`${app.host}/g/${gallery_id}`);
  const tiles = page.locator('eyeline-gallery .tile');
  await until(async () => (await page.locator('eyeline-gallery .tile.loaded').count()) === images.length, 'all pictures', DEADLINE_MS);
  await page.evaluate(addPointer);
  // The large view would hide the gallery.
  await page.evaluate(() => document.addEventListener('eyeline-click', (event) => event.preventDefault()));
  const session = await page.context().newCDPSession(page);
  await session.send('Animation.enable');
  await session.send('Animation.setPlaybackRate', { playbackRate: 1 / SLOWER });

  const frames = [];
  let size;
  const take = async (ms) => {
    const { webp, ...measured } = await encode(await page.screenshot(), MOVING_WIDTH, 0.72);
    size = measured;
    frames.push({ webp, ms });
  };
  const movedFor = () => tiles.first().evaluate((tile) => tile.getAnimations()[0]?.currentTime ?? null);
  for (const rank of CLICKED) {
    const { x, y, width, height } = await tiles.nth(rank - 1).boundingBox();
    const [left, top] = [x + width / 2, y + height / 2];
    await page.evaluate(([x, y]) => window.point(x, y, false), [left, top]);
    await take(900);
    await page.evaluate(([x, y]) => window.point(x, y, true), [left, top]);
    await take(200);
    await page.mouse.click(left, top);
    await page.mouse.move(2, 2);
    await page.evaluate(([x, y]) => window.point(x, y, false), [left, top]);
    // On a busy machine the click may count after the page has read the order for the last time.
    const hasBegun = async () => {
      await page.waitForTimeout(1000);
      if ((await movedFor()) !== null) return true;
      await page.evaluate(() => document.querySelector('eyeline-gallery').refresh());
      return (await movedFor()) !== null;
    };
    await until(hasBegun, 'a glide', DEADLINE_MS);
    for (const step of STEPS) {
      await until(async () => ((await movedFor()) ?? Infinity) >= step, 'a step of it', DEADLINE_MS);
      await take(STEP_MS);
    }
    await until(async () => (await movedFor()) === null, 'the end of a glide', DEADLINE_MS);
    await page.waitForTimeout(3000);
    await take(700);
  }
  save('reordering', animated(frames, size), MOVING_BYTES_MAX);
}

try {
  const page = await openPage(browser, app, { path: '/#/welcome', viewport: { width: 1360, height: 820 }, colorScheme: 'light', reducedMotion: 'reduce' });
  const project_id = await fillDemo(page);
  if (isWanted('stills')) await takeStills(page);
  if (isWanted('reordering')) await takeReordering(project_id);
} finally {
  await browser.close();
  await app.stop();
}
