/** What the examples of the documentation need, and what they are to bring about. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { ROOT } from './documents.js';
import { until } from './eyeline.js';

/** Files that documents name beside `hello.jpg`. */
export const FILES = {
  'feed.csv': 'external_id,url,name\nsku-1,https://cdn.example/1.jpg,Red shoes\nsku-2,https://cdn.example/2.jpg,Blue shoes\n',
  'feed.ndjson': '{"external_id": "sku-1", "url": "https://cdn.example/1.jpg"}\n{"external_id": "sku-3", "url": "https://cdn.example/3.jpg"}\n',
  'shop.csv': 'sku,picture,title\nsku-4,https://cdn.example/4.jpg,Hat\n',
  'google.tsv': 'id\ttitle\tlink\timage_link\tproduct_type\ng-1\tCoat\thttps://shop.example/coat\thttps://cdn.example/5.jpg\tHome > Coats\n',
  'products_export.csv': 'Handle,Title,Image Src,Image Position,Tags,Type,Published\nshirt,Shirt,https://cdn.example/6.jpg,1,green,Shirts,true\n',
  'wc-product-export.csv': 'ID,Type,Name,Images,Tags,Categories,Published\n7,simple,Scarf,https://cdn.example/7.jpg,wool,Scarves,1\n',
};

const arrives = (shop, filter) =>
  until(async () => (await shop.events(filter)).length > 0, `an event ${JSON.stringify(filter)}`);
const shows = (page) => page.locator('eyeline-gallery [part=tile]').nth(5).waitFor();
const session = (page) => page.evaluate(() => window.eyeline.session_id);

/** What each page is to do, by its document and heading. */
export const PAGES = {
  'clients/js/README.md: With a script element': async (page, { shop }) => {
    await shows(page);
    await arrives(shop, { session_id: await session(page), name: 'view' });
  },
  'clients/js/README.md: Send events': (page, { shop }) => arrives(shop, { name: 'pageview' }),
  'clients/js/README.md: Show a gallery': async (page, { shop }) => {
    await shows(page);
    await arrives(shop, { name: 'view' });
  },
  'clients/js/README.md: Count the views and clicks of your own tiles': async (page, { shop }) => {
    await page.locator('img').nth(5).waitFor();
    const clicks = async () => (await shop.events({ name: 'click' })).length;
    const before = await clicks();
    await page.locator('img').first().click();
    await until(async () => (await clicks()) > before, 'the click');
  },
  'clients/js/README.md: Ask for consent': async (page) => {
    assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
    await page.getByRole('button').click();
    await until(() => page.evaluate(() => sessionStorage.length === 1 && localStorage.length === 0), 'a sent event');
  },
  'docs/embed.md: Put the gallery on the page': async (page, { shop }) => {
    await shows(page);
    await arrives(shop, { session_id: await session(page), name: 'view' });
  },
  'docs/embed.md: Reserve its place, and give it links': async (page) => {
    await shows(page);
    assert.ok((await page.locator('eyeline-gallery').boundingBox()).height >= page.viewportSize().height);
    const border = await page.locator('eyeline-gallery [part=tile]').first().evaluate((tile) => getComputedStyle(tile).borderTopColor);
    assert.equal(border, 'rgb(204, 204, 204)');
  },
  'docs/embed.md: Send events of your own': async (page, { shop }) =>
    arrives(shop, { session_id: await session(page), name: 'search' }),
  'docs/embed.md: Ask for consent': async (page, { shop }) => {
    await shows(page);
    assert.equal(await session(page), null);
    await page.getByRole('button', { name: 'Allow' }).click();
    await arrives(shop, { session_id: await session(page), name: 'view' });
    await page.getByRole('button', { name: 'Refuse' }).click();
    assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
  },
  'docs/embed.md: Decide what a click does': async (page) => {
    await shows(page);
    await page.locator('eyeline-gallery a').nth(1).click();
    await page.waitForURL('**/pictures/*?rank=2');
  },
  'docs/embed.md: When nothing arrives': async (page) => {
    await page.waitForFunction(() => window.eyeline);
  },
  'docs/collect.md: From a web page': async (page, { shop }) =>
    arrives(shop, { session_id: await session(page), name: 'search' }),
  'docs/http.md: In a browser': (page, { shop }) => until(async () => (await shop.events({ name: 'left' })).length === 2, 'both beacons'),
};

/** A picture of the repository that is not `hello.jpg`. */
const picture = (name) => join(ROOT, 'fuzz/seeds/pipeline', name);

/** Events of a project by name. */
async function counts({ eyeline, shop }, query = '') {
  const { rows } = await eyeline.api('GET', `/analytics/counts?project_id=${shop.project_id}&interval=all&group_by=name${query}`);
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]));
}

async function items({ eyeline, gallery }) {
  await eyeline.api('POST', `/galleries/${gallery.gallery_id}/refresh`);
  return (await eyeline.api('GET', `/galleries/${gallery.gallery_id}/images?limit=100`)).items;
}

/** The newest project with a gallery that has one image with one click. */
async function startedShop(place) {
  const { projects } = await place.eyeline.api('GET', '/projects?limit=100');
  const project = projects.filter(({ name }) => name === 'Shop').sort((a, b) => a.created_at.localeCompare(b.created_at)).at(-1);
  const { galleries } = await place.eyeline.api('GET', `/galleries?project_id=${project.project_id}`);
  // The picture is prepared after the program has ended.
  const prepared = async () => {
    const found = await items({ ...place, gallery: galleries[0] });
    return found.length > 0 && found;
  };
  const [item, ...others] = await until(prepared, 'a picture');
  assert.deepEqual([item.name, others.length, galleries.length], ['hello.jpg', 0, 1]);
  return item;
}

/**
 * What the programs of a document bring about, whatever their language; `admin`: they need the admin key; `links`: further
 * files that they need.
 * `check` gets the project that they ran in, and what they printed.
 */
export const OUTCOMES = {
  'README.md': {
    admin: true,
    check: async (place) => {
      await until(async () => (await startedShop(place)).clicks === 1, 'the click');
    },
  },
  'crates/eyeline/src/api/openapi/quick_start.md': {
    admin: true,
    check: async (place) => {
      await until(async () => (await startedShop(place)).clicks === 1, `the click in ${place.language}`);
    },
  },
  'docs/start.md': {
    admin: true,
    check: async (place) => {
      assert.equal((await startedShop(place)).weight, 7);
      if (place.language !== 'shell') assert.match(place.printed, /^1 [0-9a-f-]{36} 7$/m);
    },
  },
  'docs/embed.md': {
    check: async ({ eyeline, shop, gallery }) => {
      const page = await fetch(`${eyeline.host}/g/${gallery.gallery_id}`);
      assert.equal(page.status, 200);
      assert.match(await page.text(), /<img [^>]*alt=/);
      const { allowed_origins } = await eyeline.api('GET', `/applications/${shop.application_id}`);
      assert.equal(allowed_origins.length, 1);
    },
  },
  'docs/feeds.md': {
    check: async (place) => {
      const loaded = (await items(place)).filter(({ external_id }) => external_id);
      const names = loaded.map(({ external_id }) => external_id).sort();
      assert.deepEqual(names, place.language === 'shell' ? ['sku-1', 'sku-2', 'sku-3'] : ['sku-1', 'sku-2']);
      assert.equal(place.language === 'shell' ? 'Red shoes' : loaded.find(({ external_id }) => external_id === 'sku-1').name, 'Red shoes');
    },
  },
  'docs/collect.md': {
    check: async (place) => {
      const scroll = place.language === 'python' ? {} : { scroll: 1 };
      const paid = place.language === 'python' ? 2 : 1;
      assert.deepEqual(await counts(place), { pageview: 1, cart: 1, checkout: 1, paid, ...scroll });
      const { events } = await place.eyeline.api('GET', `/events/quarantine?project_id=${place.shop.project_id}`);
      assert.deepEqual(events, []);
    },
  },
  'docs/ask.md': {
    check: async (place) => {
      assert.deepEqual(await counts(place), { search: 1, cart: 2, paid: 1 });
      if (place.language === 'shell') return;
      for (const line of [/cart 1 1$/m, /^cart 2$/m, /^search → cart 1$/m, /^2 paid 1$/m]) assert.match(place.printed, line);
    },
  },
  'docs/order.md': {
    check: async (place) => {
      const [pinned, clicked, other] = await items(place);
      assert.deepEqual([pinned.clicks, clicked.clicks, other.clicks], [0, 1, 0]);
      assert.deepEqual([pinned.views, clicked.views, other.views], [1, 1, 1]);
      if (place.language !== 'shell') assert.match(place.printed, /^8 /m);
    },
  },
  'docs/uploads.md': {
    check: async ({ eyeline, shop, language, printed }) => {
      const { images } = await eyeline.api('GET', `/projects/${shop.project_id}/images?limit=100`);
      const [broken, hello] = ['broken.jpg', 'hello.jpg'].map((name) => images.filter(({ filename }) => filename.endsWith(name)));
      assert.deepEqual(hello.map(({ state }) => state), ['done'], language);
      assert.ok(broken.length >= 1 && broken.every(({ state }) => state !== 'done'), language);
      const large = images.filter(({ filename }) => filename === 'large.jpg');
      assert.ok(large.length === 1 && ['uploaded', 'processing', 'done'].includes(large[0].state), language);
      assert.match(printed, /duplicate/);
      assert.match(printed, /error/);
    },
  },
  'docs/library.md': {
    check: async ({ eyeline, shop, language, printed }) => {
      const { images } = await eyeline.api('GET', `/projects/${shop.project_id}/images?tag=sunset`);
      assert.deepEqual(images.map(({ state, access_tier }) => [state, access_tier]), [['done', 'premium']], language);
      for (const words of [/image\/jpeg/, /^true$/im, /^404$|^401$|^403$/m, /100000|1000/]) assert.match(printed, words);
    },
  },
  'docs/lake.md': { check: ({ printed }) => assert.match(printed, /^\d+ files$/m) },
  'clients/python/README.md': {
    links: { 'photos/0.jpg': picture('420.jpg'), 'photos/1.jpg': picture('422.jpg') },
    check: ({ printed }) => {
      for (const words of ['done http', '0.jpg done', 'accepted=2', 'checkout', '400 {', 'page_size']) assert.ok(printed.includes(words), printed);
    },
  },
};
