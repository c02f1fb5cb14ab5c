import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { html, makeGallery, makeShop, png, startBrowser, startEyeline, startSite, until } from '../support/eyeline.js';

let eyeline, site, feed, browser, shop, few, many;
const TIMEOUT_MS = 900_000;
const MANY = 130;
const LARGE = 1_000;

before(async () => {
  [eyeline, site, feed, browser] = await Promise.all([startEyeline(), startSite(), startSite(), startBrowser()]);
  shop = await makeShop(eyeline, [site.origin]);
  few = await makeGallery(eyeline, shop, 12, (number) => (number % 2 ? `${site.origin}/product?id=${number}` : null));
  many = await feedGallery(MANY);
  site.pages['/product'] = html('<h1>Product</h1>');
  site.pages['/shop.css'] = {
    type: 'text/css',
    body: 'body{margin:0;font:16px sans-serif}eyeline-gallery{display:block;min-height:100vh}',
  };
});
// Pages that stay open keep both cores busy.
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser?.close();
  await Promise.all([site?.stop(), feed?.stop(), eyeline?.stop()]);
});

/** A gallery out of a catalogue, whose pictures are served by a host of its own. */
async function feedGallery(count) {
  const { gallery_id } = await eyeline.api('POST', '/galleries', { project_id: shop.project_id, name: 'feed' });
  const rows = [];
  for (let number = 0; number < count; number++) {
    const path = `/${number % MANY}.png`;
    feed.pages[path] ??= { type: 'image/png', body: png(120, 90, number) };
    rows.push(JSON.stringify({ external_id: `sku-${count}-${number}`, name: `Shoe ${number}`, url: `${feed.origin}${path}?${number}` }));
  }
  await eyeline.api('POST', `/galleries/${gallery_id}/dataset`, rows.join('\n'), { 'Content-Type': 'application/x-ndjson' });
  await eyeline.api('POST', `/galleries/${gallery_id}/refresh`);
  return { gallery_id };
}

let pages = 0;

/** A page of the shop with an element. Its errors stand in `page.errors`, its layout shifts in `window.shifts`. */
async function open({ gallery = few, attributes = '', inside = '', head = '', headers = {}, lang = 'en', context = {}, init } = {}) {
  const path = `/page-${pages++}`;
  const script = `<script type="module" src="${eyeline.host}/eyeline.js" data-application="${shop.application_id}"></script>`;
  const element = `<eyeline-gallery gallery="${gallery.gallery_id}" application="${shop.application_id}" ${attributes}>${inside}</eyeline-gallery>`;
  const body = `<h1>Shop</h1>${element}<footer><p>About the shop</p></footer>`;
  const page_ = html(body, `<link rel="stylesheet" href="/shop.css">${head}${script}`).replace('lang="en"', `lang="${lang}"`);
  site.pages[path] = { body: page_, headers };
  const page = await (await browser.newContext({ viewport: { width: 1000, height: 700 }, ...context })).newPage();
  page.errors = [];
  page.requests = [];
  page.on('request', (request) => page.requests.push(request.url()));
  page.on('console', (message) => message.type() === 'error' && page.errors.push(message.text()));
  page.on('pageerror', (error) => page.errors.push(String(error)));
  await page.addInitScript(() => {
    window.shifts = [];
    const note = (list) => window.shifts.push(...list.getEntries().map(({ value, hadRecentInput }) => ({ value, hadRecentInput })));
    new PerformanceObserver(note).observe({ type: 'layout-shift', buffered: true });
  });
  if (init) await page.addInitScript(init);
  await page.goto(site.origin + path);
  return page;
}

const tiles = (page) => page.locator('eyeline-gallery [part=tile]');
const shown = (page, count) => until(async () => (await tiles(page).count()) >= count, async () => `${count} tiles; ${page.errors}`);
const loaded = (page) =>
  page.waitForFunction(() => {
    const images = [...document.querySelector('eyeline-gallery').shadowRoot.querySelectorAll('[part=image]')];
    const near = images.filter((image) => image.getBoundingClientRect().top < innerHeight);
    return near.length && near.every((image) => image.complete && image.naturalWidth);
  });
/** What the keyboard and screen readers meet, in order. */
const names = (page) => tiles(page).locator('img').evaluateAll((images) => images.map((image) => image.alt));
const session = (page) => page.evaluate(() => window.eyeline.session_id);

describe('the element on a page of another origin', { timeout: TIMEOUT_MS }, () => {
  test('shows the gallery by one request for order and pictures, with sizes, placeholders and an eager first row', async () => {
    const page = await open({ gallery: few });
    await shown(page, 12);
    await loaded(page);
    assert.equal(page.requests.filter((url) => url.includes('/api/v1/galleries')).length, 1);
    const first = await tiles(page).locator('img').first().evaluate((image) => ({
      loading: image.loading,
      priority: image.fetchPriority,
      hasSrcset: image.srcset.includes('150w') || image.srcset.includes('w'),
      sizes: image.sizes,
      width: image.getBoundingClientRect().width,
    }));
    assert.deepEqual([first.loading, first.priority, first.hasSrcset], ['eager', 'high', true]);
    assert.equal(first.sizes, `${Math.ceil(first.width)}px`);
    assert.deepEqual(page.errors, []);
  });

  test('tells a view of each image once, with its place, when half of its tile is on screen', async () => {
    const page = await open({ gallery: many, attributes: 'page-size="40"' });
    await shown(page, 30);
    await loaded(page);
    const seen = () => shop.events({ session_id: id, category: 'gallery', name: 'view' });
    const id = await session(page);
    const onScreen = await page.evaluate(() => {
      const all = [...document.querySelector('eyeline-gallery').shadowRoot.querySelectorAll('[part=tile]')];
      return all.filter((tile) => {
        const { top, height } = tile.getBoundingClientRect();
        return (Math.min(innerHeight, top + height) - Math.max(0, top)) / height >= 0.5;
      }).length;
    });
    await until(async () => (await seen()).length >= onScreen, async () => `${onScreen} views, not ${(await seen()).length}`);
    await page.evaluate(() => scrollTo(0, 400));
    await sleep(1500);
    await page.evaluate(() => scrollTo(0, 0));
    await sleep(2500);
    const events = await seen();
    assert.equal(new Set(events.map(({ data }) => data.image_id)).size, events.length, 'once an image and page view');
    assert.ok(events.length > onScreen && events.length < MANY, `${events.length}`);
    for (const { data } of events) {
      assert.equal(data.gallery_id, many.gallery_id);
      assert.ok(data.position >= 1 && /^[\da-f-]{36}$/.test(data.order_id), JSON.stringify(data));
    }
  });

  test('a dwell is waited for', async () => {
    const script = `<script type="module">import { createTracker } from '${eyeline.host}/eyeline.js';
      createTracker({ application: '${shop.application_id}', dwell_ms: 600000 });</script>`;
    const page = await open({ head: script });
    await shown(page, 12);
    await loaded(page);
    await sleep(3000);
    assert.deepEqual(await shop.events({ session_id: await session(page), category: 'gallery' }), []);
  });

  test('reorders by a visitor’s click, without a shift of the layout', async () => {
    const gallery = await makeGallery(eyeline, shop, 8);
    const page = await open({ gallery });
    await shown(page, 8);
    await loaded(page);
    const before = await names(page);
    const last = before.at(-1);
    await tiles(page).last().locator('a').click();
    await page.locator('eyeline-gallery dialog[open]').waitFor();
    await page.keyboard.press('Escape');
    await until(async () => (await names(page))[0] === last, async () => `${last} first in ${await names(page)}`);
    const place = await tiles(page).first().evaluate(async (tile) => {
      await Promise.all(tile.getAnimations().map((animation) => animation.finished));
      const { left, top } = tile.getBoundingClientRect();
      const grid = tile.parentElement.getBoundingClientRect();
      return [Math.round(left - grid.left), Math.round(top - grid.top)];
    });
    assert.deepEqual(place, [0, 0], 'it stands first on screen too');
    assert.deepEqual(await page.evaluate(() => window.shifts.filter(({ hadRecentInput }) => !hadRecentInput)), []);
    const clicks = await shop.events({ session_id: await session(page), name: 'click' });
    assert.deepEqual(clicks.map(({ data }) => data.position), [8]);
    assert.deepEqual(page.errors, []);
  });

  test('asks for no motion where the visitor wants none', async () => {
    const gallery = await makeGallery(eyeline, shop, 4);
    const page = await open({ gallery, context: { reducedMotion: 'reduce' }, init: () => {
      window.animated = 0;
      const { animate } = Element.prototype;
      Element.prototype.animate = function (...args) {
        window.animated++;
        return animate.apply(this, args);
      };
    } });
    await shown(page, 4);
    const last = (await names(page)).at(-1);
    await tiles(page).last().locator('a').click();
    await page.keyboard.press('Escape');
    await until(async () => (await names(page))[0] === last, `${last} first`);
    assert.equal(await page.evaluate(() => window.animated), 0);
  });

  test('nothing shifts while the page loads and the visitor scrolls to the end, and every image comes once', async () => {
    const page = await open({ gallery: many, attributes: 'page-size="30"' });
    await shown(page, 30);
    await loaded(page);
    const met = new Set();
    for (let step = 0; step < 200 && met.size < MANY; step++) {
      await page.mouse.wheel(0, 400);
      await sleep(80);
      const now = await names(page);
      assert.equal(new Set(now).size, now.length, 'no picture twice');
      for (const name of now) met.add(name);
    }
    assert.equal(met.size, MANY);
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await sleep(500);
    assert.deepEqual(await page.evaluate(() => window.shifts), []);
    assert.deepEqual(page.errors, []);
  });

  test('of 1,000 images those near the screen are in the document; the tile with the focus stays, and End and Home reach all', async () => {
    const page = await open({ gallery: await feedGallery(LARGE), attributes: 'page-size="100"' });
    const at = (position) => page.locator(`eyeline-gallery [part=tile][aria-posinset="${position}"]`);
    const hasFocus = (position) => at(position).locator('a').evaluate((link) => link.matches(':focus'));
    await shown(page, 10);
    await page.keyboard.press('Tab');
    let most = 0;
    const isEnd = async () => {
      most = Math.max(most, await tiles(page).count());
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
      return (await at(LARGE).count()) === 1;
    };
    await until(isEnd, async () => `the last tile: ${await tiles(page).last().getAttribute('aria-posinset')} of ${await tiles(page).last().getAttribute('aria-setsize')}`, 300_000);
    assert.ok(most <= 150, `${most} tiles`);
    assert.ok(await hasFocus(1), 'the focus is where it was');
    await page.keyboard.press('End');
    await until(() => hasFocus(LARGE), 'the focus on the last tile');
    await page.keyboard.press('Home');
    await until(() => hasFocus(1), 'the focus on the first tile');
    assert.ok(await at(1).evaluate((tile) => tile.getBoundingClientRect().top >= 0), 'in sight');
    await until(async () => (await tiles(page).count()) > 10, 'its neighbours');
    assert.deepEqual(page.errors, []);
  });

  test('in a scroller within the page the tiles come as they do in the page itself', async () => {
    site.pages['/scroller.css'] = { type: 'text/css', body: 'html{overflow:hidden}body{height:100vh;overflow:auto}' };
    const page = await open({ gallery: many, attributes: 'page-size="50"', head: '<link rel="stylesheet" href="/scroller.css">' });
    await shown(page, 10);
    const last = page.locator(`eyeline-gallery [part=tile][aria-posinset="${MANY}"]`);
    const isEnd = async () => {
      await page.evaluate(() => document.body.scrollTo(0, document.body.scrollHeight));
      return (await last.count()) === 1;
    };
    await until(isEnd, async () => `the last tile: ${await tiles(page).last().getAttribute('aria-posinset')} of ${await tiles(page).last().getAttribute('aria-setsize')}`, 300_000);
    await page.evaluate(() => document.body.scrollTo(0, 0));
    await until(async () => (await tiles(page).first().getAttribute('aria-posinset')) === '1' && (await last.count()) === 0, 'the first tiles alone');
  });

  test('a strict Content-Security-Policy is enough', async () => {
    const policy = (images) =>
      [
        "default-src 'none'",
        `script-src 'self' ${eyeline.host}`,
        `connect-src 'self' ${eyeline.host}`,
        `img-src 'self' ${eyeline.host}${images}`,
        "style-src 'self'",
        "require-trusted-types-for 'script'",
      ].join('; ');
    for (const [gallery, images] of [[few, ''], [many, ` ${feed.origin}`]]) {
      const page = await open({ gallery, headers: { 'Content-Security-Policy': policy(images) } });
      await shown(page, 12);
      await loaded(page);
      const link = page.locator('eyeline-gallery a:not([href*="/product"])').first();
      await link.click();
      await page.locator('eyeline-gallery dialog[open] img').waitFor();
      const styled = await tiles(page).first().evaluate((tile) => getComputedStyle(tile).position);
      assert.equal(styled, 'absolute');
      assert.deepEqual(page.errors, []);
    }
  });

  test('a click can be cancelled; otherwise a link is followed and a picture without one opens large', async () => {
    const page = await open();
    await shown(page, 12);
    await page.evaluate(() => {
      window.clicks = [];
      window.cancels = true;
      document.addEventListener('eyeline-click', (event) => {
        window.clicks.push(event.detail);
        if (window.cancels) event.preventDefault();
      });
    });
    const linked = page.locator('eyeline-gallery a[href*="/product"]').first();
    const plain = page.locator('eyeline-gallery a:not([href*="/product"])').first();
    await linked.click();
    await plain.click();
    assert.equal(await page.locator('eyeline-gallery dialog[open]').count(), 0);
    const clicks = await page.evaluate(() => window.clicks);
    assert.deepEqual(Object.keys(clicks[0]).sort(), ['external_id', 'image_id', 'link', 'rank']);
    assert.deepEqual([clicks[0].link.includes('/product'), clicks[1].link], [true, null]);
    await page.evaluate(() => (window.cancels = false));
    await plain.click();
    await page.locator('eyeline-gallery dialog[open]').waitFor();
    await page.keyboard.press('Escape');
    const id = await session(page);
    await linked.click();
    await page.waitForURL('**/product?*');
    const events = () => shop.events({ session_id: id, name: 'click' });
    await until(async () => (await events()).length === 4, 'four clicks: the last one as the page went away');
  });

  test('the keyboard has one stop in the grid, arrows move in it, and the lightbox gives the focus back', async () => {
    const page = await open();
    await shown(page, 12);
    const focused = () =>
      page.evaluate(() => {
        const { shadowRoot } = document.querySelector('eyeline-gallery');
        return [...shadowRoot.querySelectorAll('[part=link]')].indexOf(shadowRoot.activeElement);
      });
    assert.equal(await page.locator('eyeline-gallery [part=link][tabindex="0"]').count(), 1);
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 0);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    assert.equal(await focused(), 2);
    await page.keyboard.press('ArrowLeft');
    assert.equal(await focused(), 1);
    await page.keyboard.press('End');
    assert.equal(await focused(), 11);
    await page.keyboard.press('ArrowUp');
    const above = await focused();
    assert.ok(above < 11 && above > 0, `${above}`);
    await page.keyboard.press('ArrowDown');
    assert.ok((await focused()) > above);
    await page.keyboard.press('Home');
    assert.equal(await focused(), 0);
    // A picture without a link, whichever that is.
    while (await page.evaluate(() => document.querySelector('eyeline-gallery').shadowRoot.activeElement.href.includes('/product'))) {
      await page.keyboard.press('ArrowRight');
    }
    const opened = await focused();
    await page.keyboard.press('Enter');
    await page.locator('eyeline-gallery dialog[open]').waitFor();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Escape');
    const expected = (await names(page)).length;
    await until(async () => (await focused()) >= 0, 'the focus back on a tile');
    assert.ok((await focused()) !== opened && expected === 12, 'on the picture that was shown last');
  });

  test('screen readers find a list of named links, and axe finds nothing to object to', async () => {
    const page = await open({ context: {} });
    await shown(page, 12);
    await loaded(page);
    const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    await page.evaluate(axe);
    const run = () => page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }));
    const { violations } = await run();
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes[0].html]), []);
    await page.locator('eyeline-gallery a:not([href*="/product"])').first().click();
    await page.locator('eyeline-gallery dialog[open]').waitFor();
    const opened = await run();
    assert.deepEqual(opened.violations.map(({ id, nodes }) => [id, nodes[0].html]), []);
    assert.equal(await page.getByRole('list', { name: 'Pictures', includeHidden: true }).count(), 1);
  });

  test('from right to left the rows, and the arrows, run the other way; the words are the page’s', async () => {
    const page = await open({ lang: 'ar', attributes: 'dir="rtl"' });
    await shown(page, 12);
    const box = (index) => tiles(page).nth(index).boundingBox();
    const [first, second] = [await box(0), await box(1)];
    assert.ok(first.x > second.x, `${first.x} ${second.x}`);
    const grid = await page.locator('eyeline-gallery [part=grid]').boundingBox();
    assert.ok(Math.abs(first.x + first.width - (grid.x + grid.width)) < 2);
    await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowLeft');
    assert.ok(await tiles(page).nth(1).locator('a').evaluate((link) => link.matches(':focus')));
    assert.equal(await page.locator('eyeline-gallery [part=grid]').getAttribute('aria-label'), 'صور');
  });

  test('links that the server rendered work without scripts, and stay while pictures cannot be had', async () => {
    const inside = '<ul><li><a href="/product?id=1">A shoe</a></li></ul>';
    const without = await open({ inside, context: { javaScriptEnabled: false } }).catch((error) => error);
    assert.ok(!(without instanceof Error), String(without));
    await without.getByRole('link', { name: 'A shoe' }).click();
    await without.waitForURL('**/product?id=1');
    const broken = await open({ inside, gallery: { gallery_id: '0198c0de-0000-7000-8000-000000000001' } });
    await broken.locator('eyeline-gallery [part=status]').filter({ hasText: 'could not be loaded' }).waitFor();
    assert.ok(await broken.getByRole('link', { name: 'A shoe' }).isVisible());
    const whole = await open({ inside });
    await shown(whole, 12);
    assert.ok(!(await whole.getByRole('link', { name: 'A shoe' }).isVisible()));
  });

  test('a shadow root that the server rendered is reused', async () => {
    const inside = '<template shadowrootmode="open"><p id="server">From the server</p></template>';
    const page = await open({ inside, init: () => {
      new MutationObserver((_, observer) => {
        const root = document.querySelector('eyeline-gallery')?.shadowRoot;
        if (!root) return;
        observer.disconnect();
        window.before = root;
        window.text = root.textContent;
      }).observe(document, { childList: true, subtree: true });
    } });
    await shown(page, 12);
    const kept = await page.evaluate(() => [window.text.trim(), window.before === document.querySelector('eyeline-gallery').shadowRoot]);
    assert.deepEqual(kept, ['From the server', true]);
    assert.equal(await page.locator('#server').count(), 0);
    assert.deepEqual(page.errors, []);
  });

  test('with consent denied the pictures are shown, and no id of the visitor is stored or sent', async () => {
    const consent = `<script type="module">import { createTracker } from '${eyeline.host}/eyeline.js';
      createTracker({ application: '${shop.application_id}', consent: 'denied' });</script>`;
    const page = await open({ head: consent });
    await shown(page, 12);
    await loaded(page);
    await page.locator('eyeline-gallery a:not([href*="/product"])').first().click();
    await sleep(2500);
    assert.ok(page.requests.some((url) => url.includes('/api/v1/galleries')));
    assert.deepEqual(page.requests.filter((url) => /session_id|\/events/.test(url)), []);
    assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
  });

  test('an element that is added later, changed and moved shows what it should', async () => {
    const page = await open();
    await shown(page, 12);
    const other = await makeGallery(eyeline, shop, 3);
    await page.evaluate((id) => {
      const element = document.querySelector('eyeline-gallery');
      document.body.prepend(element);
      element.setAttribute('gallery', id);
    }, other.gallery_id);
    await until(async () => (await tiles(page).count()) === 3, 'the other gallery');
    site.pages['/late'] = html('<div id="here"></div>', `<script type="module" src="${eyeline.host}/eyeline.js" data-application="${shop.application_id}"></script>`);
    await page.goto(`${site.origin}/late`);
    await page.waitForFunction(() => window.eyeline);
    await page.evaluate((id) => {
      const element = document.createElement('eyeline-gallery');
      element.setAttribute('gallery', id);
      document.querySelector('#here').append(element);
    }, other.gallery_id);
    await shown(page, 3);
  });

  test('the page styles it by parts and custom properties', async () => {
    site.pages['/own.css'] = {
      type: 'text/css',
      body: 'eyeline-gallery{--eyeline-gap:20px;--eyeline-row-height:100px;--eyeline-radius:0}eyeline-gallery::part(tile){border:3px solid rgb(1,2,3)}',
    };
    const page = await open({ head: '<link rel="stylesheet" href="/own.css">' });
    await shown(page, 12);
    const [first, second] = [await tiles(page).nth(0).boundingBox(), await tiles(page).nth(1).boundingBox()];
    assert.ok(Math.abs(second.x - first.x - first.width - 20) < 1);
    assert.ok(first.height > 60 && first.height < 160, `${first.height}`);
    assert.equal(await tiles(page).first().evaluate((tile) => getComputedStyle(tile).borderTopColor), 'rgb(1, 2, 3)');
  });
});
