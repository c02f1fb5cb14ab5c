/**
 * Costs of pages: a shop's page with and without `<eyeline-gallery>`, the application, the public page of a gallery, and
 * galleries of 10,000 images. Ends with the medians, and fails when one of them is beyond its bound.
 */

import { html, makeGallery, makeShop, png, startBrowser, startSite } from '../../clients/js/support/eyeline.js';
import { fillShop } from '../../web/browser/shop.js';
import { startApp } from '../../web/browser/support.js';
import { look } from './lighthouse.js';
import { scroll } from './scroll.js';

const ROUNDS = Number(process.argv[2] ?? 5);
/** Parts of the names of what is measured; none measures all. */
const WANTED = process.argv.slice(3);
const PICTURES = 40;
const MANY = 10_000;

const SCORE_MIN = 95;
const POINTS_MAX = 3;
const APPLICATION_KB_MAX = 100;
const PUBLIC_KB_MAX = 25;
const LCP_MS_MAX = 2_500;
const TILES_MAX = 600;
const FRAME_MS_MAX = 33;

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** The cookie of a session, as a browser keeps it. */
async function signIn(eyeline) {
  const answer = await fetch(`${eyeline.host}/api/v1/session`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Origin: eyeline.host },
    body: JSON.stringify({ admin_key: eyeline.key }),
  });
  if (!answer.ok) throw new Error(`signing in: ${answer.status} ${await answer.text()}`);
  const [, name, value] = answer.headers.get('set-cookie').match(/^([^=]+)=([^;]*)/);
  return { name, value, url: eyeline.host };
}

async function shopPages(eyeline, site) {
  const shop = await makeShop(eyeline, [site.origin]);
  const { gallery_id } = await makeGallery(eyeline, shop, PICTURES);
  const style = '<link rel="stylesheet" href="/shop.css"><meta name="description" content="Shoes">';
  const text = `<main><h1>Shoes</h1><p>${'Running shoes for every road, and walking shoes for every hill. '.repeat(8)}</p>`;
  const script = `<script type="module" src="${eyeline.host}/eyeline.js" data-application="${shop.application_id}"></script>`;
  const preload = ['eyeline.js', 'eyeline-gallery.js'].map((name) => `<link rel="modulepreload" href="${eyeline.host}/${name}" crossorigin>`);
  const element = `<eyeline-gallery gallery="${gallery_id}" application="${shop.application_id}"></eyeline-gallery>`;
  site.pages['/shop.css'] = {
    type: 'text/css',
    body: 'body{margin:1em;font:16px/1.5 sans-serif}eyeline-gallery{display:block;min-height:100vh}',
  };
  site.pages['/without'] = html(`${text}</main>`, style);
  site.pages['/with'] = html(`${text}${element}</main>`, style + preload.join('') + script);
}

/** A gallery of `MANY` images with one picture of the site's. */
async function manyImages(eyeline, site) {
  const shop = await makeShop(eyeline, []);
  const { gallery_id } = await eyeline.api('POST', '/galleries', { project_id: shop.project_id, name: 'many' });
  site.pages['/picture.png'] = { type: 'image/png', body: png(300, 200, 1), headers: { 'Cache-Control': 'max-age=3600' } };
  const rows = Array.from({ length: MANY }, (_, at) => {
    const [width, height] = [200 + ((at * 53) % 200), 200];
    return JSON.stringify({ external_id: `shoe-${at}`, name: `Shoe ${at}`, url: `${site.origin}/picture.png?${at}`, width, height });
  });
  await eyeline.api('POST', `/galleries/${gallery_id}/dataset`, rows.join('\n'), { 'Content-Type': 'application/x-ndjson' });
  await eyeline.api('POST', `/galleries/${gallery_id}/refresh`);
  await eyeline.api('PATCH', `/galleries/${gallery_id}`, { page: { enabled: true } });
  return { ...shop, gallery_id };
}

const [eyeline, site] = await Promise.all([startApp(), startSite()]);
const browser = await startBrowser();
try {
  await shopPages(eyeline, site);
  const shop = await fillShop(eyeline, PICTURES);
  await eyeline.api('PATCH', `/galleries/${shop.gallery_id}`, { page: { enabled: true } });
  const many = await manyImages(eyeline, site);
  const cookie = await signIn(eyeline);
  const signedIn = { Cookie: `${cookie.name}=${cookie.value}` };

  const pages = {
    'shop without the element': () => look(`${site.origin}/without`),
    'shop with the element': () => look(`${site.origin}/with`),
    'application, signed out': () => look(`${eyeline.host}/`),
    'application, gallery': () => look(`${eyeline.host}/#/gallery?project=${shop.project_id}`, signedIn),
    'application, dashboard': () => look(`${eyeline.host}/#/insight?project=${shop.project_id}`, signedIn),
    'public page': () => look(`${eyeline.host}/g/${shop.gallery_id}`),
  };
  const galleries = {
    'application, 10,000 images': () => scroll(browser, `${eyeline.host}/#/gallery/${many.gallery_id}?project=${many.project_id}`, [cookie]),
    'public page, 10,000 images': () => scroll(browser, `${eyeline.host}/g/${many.gallery_id}`),
  };
  const all = Object.entries({ ...pages, ...galleries });
  const chosen = all.filter(([name]) => !WANTED.length || WANTED.some((part) => name.includes(part)));
  const taken = Object.fromEntries(chosen.map(([name]) => [name, []]));
  for (let round = 1; round <= ROUNDS; round++) {
    for (const [name, measure] of chosen) {
      const figures = await measure();
      taken[name].push(figures);
      console.log(`round ${round}, ${name}: ${JSON.stringify(figures)}`);
    }
  }

  const missed = [];
  const of = (name, figure) => median(taken[name].map((figures) => figures[figure]));
  const atMost = (name, figure, bound) => {
    if (taken[name] && of(name, figure) > bound) missed.push(`${name}: ${figure} is ${of(name, figure).toFixed(1)}, at most ${bound} is promised.`);
  };
  console.log(`\nmedians of ${ROUNDS}, Lighthouse's phone on slow 4G\n`);
  console.log('| page | performance | accessibility | best practices | first paint ms | largest paint ms | blocked ms | layout shift | KB without pictures |');
  console.log('|---|--:|--:|--:|--:|--:|--:|--:|--:|');
  for (const name of Object.keys(pages).filter((name) => taken[name])) {
    const scores = ['performance', 'accessibility', 'practices'];
    const times = ['fcp', 'lcp', 'tbt'].map((figure) => Math.round(of(name, figure)));
    console.log(`| ${[name, ...scores.map((score) => of(name, score)), ...times, of(name, 'cls').toFixed(3), of(name, 'kilobytes').toFixed(1)].join(' | ')} |`);
    if (!name.startsWith('shop')) {
      for (const score of scores) if (of(name, score) < SCORE_MIN) missed.push(`${name}: ${score} is ${of(name, score)}, at least ${SCORE_MIN} is promised.`);
    }
    const costly = new Set(taken[name].flatMap(({ costly }) => costly));
    if (costly.size) console.error(`${name}: points are lost by ${[...costly].join(', ')}`);
  }
  console.log(`\nmedians of ${ROUNDS}, scrolling without a pause\n\n| gallery | frame p50 ms | frame p95 ms | most tiles | pixels |\n|---|--:|--:|--:|--:|`);
  for (const name of Object.keys(galleries).filter((name) => taken[name])) {
    console.log(`| ${[name, of(name, 'p50').toFixed(1), of(name, 'p95').toFixed(1), of(name, 'tiles'), of(name, 'top')].join(' | ')} |`);
    atMost(name, 'p95', FRAME_MS_MAX);
    atMost(name, 'tiles', TILES_MAX);
  }
  for (const name of Object.keys(pages).filter((name) => name.startsWith('application'))) atMost(name, 'kilobytes', APPLICATION_KB_MAX);
  atMost('public page', 'kilobytes', PUBLIC_KB_MAX);
  atMost('public page', 'lcp', LCP_MS_MAX);
  const both = ['shop without the element', 'shop with the element'];
  if (both.every((name) => taken[name])) {
    const [without, withIt] = both.map((name) => of(name, 'performance'));
    if (without - withIt > POINTS_MAX) missed.push(`The element costs ${without - withIt} points, at most ${POINTS_MAX} are promised.`);
  }
  for (const sentence of missed) console.error(sentence);
  process.exitCode = missed.length ? 1 : 0;
} finally {
  await browser.close();
  await Promise.all([site.stop(), eyeline.stop()]);
}
