/**
 * Lighthouse's performance of a shop's page with and without `<eyeline-gallery>`, in turn. Ends with the medians; fails
 * when the element costs more than `POINTS_MAX`.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as chromeLauncher from 'chrome-launcher';
import lighthouse from 'lighthouse';
import { html, makeGallery, makeShop, startEyeline, startSite } from '../../clients/js/support/eyeline.js';

const ROUNDS = Number(process.argv[2] ?? 5);
const PICTURES = 40;
const POINTS_MAX = 3;

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

async function look(url) {
  const folder = mkdtempSync(join(tmpdir(), 'eyeline-lighthouse-'));
  const chrome = await chromeLauncher.launch({
    chromePath: process.env.EYELINE_CHROMIUM ?? '/usr/bin/chromium',
    chromeFlags: ['--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    userDataDir: folder,
  });
  try {
    const { lhr } = await lighthouse(url, { port: chrome.port, onlyCategories: ['performance'], logLevel: 'error' });
    const value = (audit) => lhr.audits[audit].numericValue;
    return {
      score: Math.round(lhr.categories.performance.score * 100),
      fcp: value('first-contentful-paint'),
      lcp: value('largest-contentful-paint'),
      tbt: value('total-blocking-time'),
      cls: value('cumulative-layout-shift'),
    };
  } finally {
    chrome.kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

const [eyeline, site] = await Promise.all([startEyeline(), startSite()]);
try {
  const shop = await makeShop(eyeline, [site.origin]);
  const { gallery_id } = await makeGallery(eyeline, shop, PICTURES);
  const style = '<link rel="stylesheet" href="/shop.css"><meta name="description" content="Shoes">';
  const text = `<h1>Shoes</h1><p>${'Running shoes for every road, and walking shoes for every hill. '.repeat(8)}</p>`;
  const script = `<script type="module" src="${eyeline.host}/eyeline.js" data-application="${shop.application_id}"></script>`;
  const preload = ['eyeline.js', 'eyeline-gallery.js'].map((name) => `<link rel="modulepreload" href="${eyeline.host}/${name}" crossorigin>`);
  const element = `<eyeline-gallery gallery="${gallery_id}" application="${shop.application_id}"></eyeline-gallery>`;
  site.pages['/shop.css'] = {
    type: 'text/css',
    body: 'body{margin:1em;font:16px/1.5 sans-serif}eyeline-gallery{display:block;min-height:100vh}',
  };
  site.pages['/without'] = html(text, style);
  site.pages['/with'] = html(text + element, style + preload.join('') + script);

  const taken = { '/without': [], '/with': [] };
  for (let round = 1; round <= ROUNDS; round++) {
    for (const path of Object.keys(taken)) {
      const figures = await look(site.origin + path);
      taken[path].push(figures);
      console.log(`round ${round} ${path}: ${JSON.stringify(figures)}`);
    }
  }
  console.log(`\nmedians of ${ROUNDS}, Lighthouse's simulated phone\n`);
  console.log('| page | performance | first paint ms | largest paint ms | blocked ms | layout shift |');
  console.log('|---|--:|--:|--:|--:|--:|');
  for (const [path, list] of Object.entries(taken)) {
    const of = (name) => median(list.map((figures) => figures[name]));
    const times = ['fcp', 'lcp', 'tbt'].map((name) => Math.round(of(name)));
    console.log(`| ${path.slice(1)} the element | ${of('score')} | ${times.join(' | ')} | ${of('cls').toFixed(3)} |`);
  }
  const [without, withIt] = Object.values(taken).map((list) => median(list.map(({ score }) => score)));
  if (without - withIt > POINTS_MAX) {
    console.error(`The element costs ${without - withIt} points, more than ${POINTS_MAX}.`);
    process.exitCode = 1;
  }
} finally {
  await Promise.all([site.stop(), eyeline.stop()]);
}
