/** A project with pictures, visitors, and all that the pages show. */

import { randomUUID } from 'node:crypto';
import { makeGallery, makeShop } from '../../clients/js/support/eyeline.js';

const VISITS = 60;

/** A number from 0 to 1 that is the same in each run. */
const chance = (seed) => ((Math.imul(seed + 1, 2654435761) >>> 8) % 1000) / 1000;

export async function fillShop(app, pictures = 12) {
  const shop = await makeShop(app, [app.host]);
  const { project_id, application_id } = shop;
  const query = `project_id=${project_id}`;
  const gallery = await makeGallery(app, shop, pictures, (number) => `https://shop.example/p/${number}`);
  await app.api('PUT', `/event-types/shop/pay?${query}`, {
    schema: { type: 'object', properties: { amount: { type: 'number', minimum: 0 } }, required: ['amount'] },
    on_invalid: 'quarantine', description: 'A paid order',
  });
  const events = [];
  for (let visit = 0; visit < VISITS; visit++) {
    const session_id = randomUUID();
    const begin = Date.now() - (1 + ((visit * 7) % 160)) * 3_600_000;
    let step = 0;
    const add = (category, name, data) =>
      events.push({ session_id, category, name, data, visitor_id: `visitor-${visit % 23}`, timestamp: new Date(begin + 20_000 * step++).toISOString() });
    add('shop', 'visit', { path: '/' });
    for (let at = 0; at < 3 + Math.floor(chance(visit) * (pictures - 3)); at++) {
      const data = { gallery_id: gallery.gallery_id, image_id: gallery.ids[at] };
      add('gallery', 'view', data);
      if (chance(visit * 31 + at) < 0.5 / (at + 1)) add('gallery', 'click', data);
    }
    if (visit % 2) add('shop', 'search', { words: 'boots' });
    if (visit % 3) add('shop', 'cart', { sku: `sku-${visit % 5}` });
    if (visit % 3 === 1) add('shop', 'pay', visit % 6 === 1 ? { amount: 'free' } : { amount: 20 + visit });
  }
  const headers = { application: application_id, 'Content-Type': 'application/json' };
  const sent = await (await fetch(`${app.host}/api/v1/events/batch`, { method: 'POST', headers, body: JSON.stringify({ events }) })).json();
  if (sent.accepted !== events.length) throw new Error(JSON.stringify(sent).slice(0, 500));
  await app.api('POST', `/galleries/${gallery.gallery_id}/refresh`);
  const broken = await app.api('POST', '/images', { project_id, gallery_id: gallery.gallery_id, filename: 'broken.jpg' });
  const form = new FormData();
  for (const [name, value] of Object.entries(broken.params.fields)) form.append(name, value);
  form.append('file', new Blob(['no picture at all'], { type: 'image/jpeg' }));
  await fetch(broken.upload_link, { method: 'POST', body: form });
  await app.api('POST', `/images/${broken.image_id}/complete`);
  await app.api('POST', `/projects/${project_id}/erasures`, { session_id: events[0].session_id });
  return { ...shop, gallery_id: gallery.gallery_id, images: gallery.ids, events };
}

const MANY = 10_000;
const LONG_NAME = 'Waterproof hiking boots with a very long name that no tile, row or heading has room for, in anthracite and moss green';

/** A project with 10,000 images, long names, 30 galleries, 60 types of events and ten applications. */
export async function fillLarge(app) {
  const shop = await makeShop(app, [app.host]);
  const { project_id, application_id } = shop;
  await app.api('PATCH', `/projects/${project_id}`, { name: `Catalogue of ${LONG_NAME}` });
  const { gallery_id } = await app.api('POST', '/galleries', { project_id, name: LONG_NAME });
  const rows = Array.from({ length: MANY }, (_, at) => JSON.stringify({
    external_id: `sku-${at}`, name: at % 7 ? `Shoe ${at}` : `${LONG_NAME} ${at}`, url: `${app.host}/app/icon.svg?${at}`,
    width: 150 + ((at * 53) % 500), height: 150 + ((at * 31) % 300), tags: [`season-${at % 4}`, 'shoes'],
  }));
  await app.api('POST', `/galleries/${gallery_id}/dataset`, rows.join('\n'), { 'Content-Type': 'application/x-ndjson' });
  for (let at = 0; at < 29; at++) await app.api('POST', '/galleries', { project_id, name: `Gallery ${at} of ${LONG_NAME.slice(0, 10 + 3 * at)}` });
  for (let at = 0; at < 9; at++) await app.api('POST', '/applications', { project_id, name: `Shop ${at} of ${LONG_NAME}`, allowed_origins: Array.from({ length: at }, (_, each) => `https://shop-${each}.example`) });
  const { items } = await app.api('GET', `/galleries/${gallery_id}/images?limit=100`);
  const events = Array.from({ length: 9000 }, (_, at) => {
    const session_id = `00000000-0000-7000-8000-${String(at % 900).padStart(12, '0')}`;
    const timestamp = new Date(Date.now() - 3_600_000 - Math.floor(chance(at % 900) * 89) * 86_400_000 - (at % 60) * 1000).toISOString();
    const common = { session_id, timestamp, visitor_id: `visitor-${at % 400}` };
    if (at % 3) return { ...common, category: 'gallery', name: at % 11 ? 'view' : 'click', data: { gallery_id, image_id: items[Math.floor(chance(at) ** 2 * 100)].image_id } };
    return { ...common, category: 'shop', name: `${['a-very-long-feature-name-that-nobody-shortened', 'search', 'cart', 'pay', 'wish'][at % 5]}-${at % 12}`, data: { words: LONG_NAME, sku: `sku-${at}` } };
  });
  const headers = { application: application_id, 'Content-Type': 'application/json' };
  const sent = await (await fetch(`${app.host}/api/v1/events/batch`, { method: 'POST', headers, body: JSON.stringify({ events }) })).json();
  if (sent.accepted !== events.length) throw new Error(JSON.stringify(sent).slice(0, 500));
  await app.api('POST', `/galleries/${gallery_id}/refresh`);
  return { ...shop, gallery_id, images: items.map(({ image_id }) => image_id) };
}

/** A project with a gallery and nothing in it. */
export async function makeEmpty(app) {
  const shop = await makeShop(app, [app.host]);
  const { gallery_id } = await app.api('POST', '/galleries', { project_id: shop.project_id, name: 'shoes' });
  return { ...shop, gallery_id, images: [] };
}

/** The address of every page, by its name, with the data of `fillShop`. */
export function pagesOf(shop) {
  const open = `project=${shop.project_id}`;
  return {
    welcome: '#/welcome',
    gallery: `#/gallery/${shop.gallery_id}?${open}`,
    photo: `#/gallery/${shop.gallery_id}?${open}&photo=${shop.images[0]}`,
    order: `#/gallery/${shop.gallery_id}/order?${open}`,
    share: `#/gallery/${shop.gallery_id}/share?${open}`,
    images: `#/images?${open}`,
    dashboard: `#/insight?${open}&gallery=${shop.gallery_id}&compare=1`,
    pictures: `#/insight/pictures?${open}&gallery=${shop.gallery_id}`,
    features: `#/insight/features?${open}`,
    paths: `#/insight/paths?${open}`,
    funnel: `#/insight/funnel?${open}&steps=shop%2Fvisit,shop%2Fcart,shop%2Fpay`,
    retention: `#/insight/retention?${open}&period=day`,
    sql: `#/insight/sql?${open}&q=${encodeURIComponent("SELECT date_trunc('hour', timestamp) AS hour, count(*) AS events FROM events GROUP BY 1 ORDER BY 1")}`,
    events: `#/events?${open}`,
    types: `#/events/types?${open}`,
    type: `#/events/types/shop/pay?${open}`,
    quarantine: `#/events/quarantine?${open}`,
    cause: `#/events/quarantine?${open}&category=shop&name=pay&reason=schema`,
    applications: `#/settings?${open}`,
    project: `#/settings/project?${open}`,
    erasures: `#/settings/erasures?${open}`,
    jobs: `#/settings/jobs?${open}`,
    system: `#/settings/system?${open}`,
  };
}
