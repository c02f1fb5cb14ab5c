/** The built server with a project of its own, and a site of another origin, for tests in a real browser. */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as zlib from 'node:zlib';
import { chromium } from 'playwright-core';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../..');
const DEADLINE_MS = 90_000;

/** `EYELINE_BIN`, else the binary of the target folder. */
export function binary() {
  const path = process.env.EYELINE_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'release/eyeline');
  if (!existsSync(path)) throw new Error(`${path} is missing: build it (cargo build --release --bin eyeline) or set EYELINE_BIN`);
  return path;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Waits until `look` gives something true. */
export async function until(look, what, deadlineMs = DEADLINE_MS) {
  for (const end = Date.now() + deadlineMs; ; await sleep(50)) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${typeof what === 'function' ? await what() : what}: not after ${deadlineMs} ms`);
  }
}

/** A server in a temporary folder. */
export async function startEyeline(settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'eyeline-browser-'));
  const port = await freePort();
  const host = `http://127.0.0.1:${port}`;
  const key = `eyl_admin_${randomBytes(24).toString('hex')}`;
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('EYELINE_'));
  const env = {
    ...Object.fromEntries(own),
    EYELINE_LISTEN: `127.0.0.1:${port}`,
    EYELINE_PUBLIC_URL: host,
    EYELINE_DATA: join(folder, 'data'),
    EYELINE_ADMIN_KEY: key,
    ...settings,
  };
  const log = openSync(join(folder, 'log'), 'a');
  const child = spawn(binary(), ['serve'], { cwd: folder, env, stdio: ['ignore', log, log] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const isReady = () => fetch(`${host}/readyz`).then(({ ok }) => ok, () => child.exitCode !== null);
  await until(isReady, () => `a ready server (${readFileSync(join(folder, 'log'), 'utf8').slice(-2000)})`);

  const api = async (method, path, body, headers = {}) => {
    const isText = typeof body === 'string';
    const response = await fetch(`${host}/api/v1${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${key}`,
        ...(body === undefined || isText ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      body: body === undefined || isText ? body : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  };
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  return { host, key, api, stop, data: join(folder, 'data') };
}

/** A project with an application that `origins` may use. */
export async function makeShop(eyeline, origins) {
  const { project_id } = await eyeline.api('POST', '/projects', { name: 'shop' });
  const { application_id, secret_key, signing_secret } = await eyeline.api('POST', '/applications', {
    project_id,
    name: 'site',
    allowed_origins: origins,
  });
  return {
    project_id,
    application_id,
    secret_key,
    signing_secret,
    /** The events of a session that have arrived, the oldest first. */
    async events(filter = {}) {
      const events = [];
      let cursor = '';
      do {
        const query = new URLSearchParams({ project_id, limit: 100, ...filter, ...(cursor ? { cursor } : {}) });
        const page = await eyeline.api('GET', `/events?${query}`);
        events.unshift(...page.events.reverse());
        cursor = page.next_cursor;
      } while (cursor);
      return events;
    },
  };
}

/** A gallery with `count` uploaded pictures of different shapes. */
export async function makeGallery(eyeline, shop, count, links = () => null, gallery = {}) {
  const { project_id } = shop;
  const { gallery_id } = await eyeline.api('POST', '/galleries', { project_id, name: 'shoes', ...gallery });
  const upload = async (number) => {
    const [width, height] = [160 + ((number * 53) % 160), 160 + ((number * 31) % 120)];
    const image = await eyeline.api('POST', '/images', { project_id, gallery_id, filename: `shoe-${number}.png`, link: links(number) });
    const form = new FormData();
    for (const [name, value] of Object.entries(image.params.fields ?? {})) form.append(name, value);
    form.append('file', new Blob([png(width, height, number)], { type: 'image/png' }));
    const sent = await fetch(image.upload_link, { method: 'POST', body: form });
    if (!sent.ok) throw new Error(`an upload: ${sent.status} ${await sent.text()}`);
    await eyeline.api('POST', `/images/${image.image_id}/complete`);
    return image.image_id;
  };
  const ids = [];
  for (let number = 0; number < count; number++) ids.push(await upload(number));
  const listed = async () => {
    await eyeline.api('POST', `/galleries/${gallery_id}/refresh`);
    const page = await eyeline.api('GET', `/galleries/${gallery_id}/images?limit=100`);
    return page.items.length === Math.min(100, count);
  };
  await until(listed, `${count} pictures in the gallery`);
  return { gallery_id, ids };
}

/** A PNG with a gradient that differs by `number`. */
export function png(width, height, number) {
  const rows = Buffer.alloc(height * (1 + width * 3));
  for (let y = 0, at = 0; y < height; y++) {
    at++;
    for (let x = 0; x < width; x++) {
      rows[at++] = (number * 47 + (x * 120) / width) & 255;
      rows[at++] = (number * 91 + (y * 120) / height) & 255;
      rows[at++] = (number * 131) & 255;
    }
  }
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const framed = Buffer.alloc(body.length + 8);
    framed.writeUInt32BE(data.length);
    body.copy(framed, 4);
    framed.writeUInt32BE(checksum(body), body.length + 4);
    return framed;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head.set([8, 2], 8);
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', zlib.deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

/** CRC-32 as PNG wants it, for a Node without `zlib.crc32`. */
function checksum(bytes) {
  if (zlib.crc32) return zlib.crc32(bytes);
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** A site of another origin. Its `pages` map a path to `{body, type, headers}` or to the text of an HTML page. */
export async function startSite() {
  const pages = { '/icon.svg': { type: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg"/>' } };
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://site');
    const page = pages[pathname];
    if (page === undefined) return response.writeHead(404).end();
    const { body, type = 'text/html; charset=utf-8', headers = {} } = typeof page === 'string' ? { body: page } : page;
    response.writeHead(200, { 'Content-Type': type, ...headers }).end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://localhost:${server.address().port}`;
  return { origin, pages, stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))) };
}

export async function startBrowser() {
  const executablePath = process.env.EYELINE_CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) throw new Error(`${executablePath} is missing: run scripts/install-deps test`);
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] });
  const newContext = browser.newContext.bind(browser);
  browser.newContext = async (options) => {
    const context = await newContext(options);
    context.setDefaultTimeout(DEADLINE_MS); // Playwright's half a minute is too short for a busy machine.
    return context;
  };
  return browser;
}

/** A page of a shop around `body`; `head` may add to it. */
export const html = (body, head = '') => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Shop</title><meta name="viewport" content="width=device-width">
<link rel="icon" href="/icon.svg">
${head}</head><body>${body}</body></html>`;
