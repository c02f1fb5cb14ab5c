/** One look of Lighthouse at an address, in a browser of its own. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as chromeLauncher from 'chrome-launcher';
import lighthouse from 'lighthouse';

const ATTEMPTS = 3;
const CATEGORIES = ['performance', 'accessibility', 'best-practices'];

/**
 * Scores (0 to 100), times in ms, bytes that came over the network, and the audits that cost points. Lighthouse's own
 * settings: a phone on slow 4G (150 ms, 1.6 Mbit/s), simulated; `extraHeaders` may carry a cookie.
 */
export async function look(url, extraHeaders) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await lookOnce(url, extraHeaders);
    } catch (error) {
      // A busy machine may give the browser no time to paint.
      if (attempt === ATTEMPTS) throw error;
      console.error(`${url}: ${error.message}`);
    }
  }
}

async function lookOnce(url, extraHeaders) {
  const folder = mkdtempSync(join(tmpdir(), 'eyeline-lighthouse-'));
  const chrome = await chromeLauncher.launch({
    chromePath: process.env.EYELINE_CHROMIUM ?? '/usr/bin/chromium',
    chromeFlags: ['--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    userDataDir: folder,
  });
  try {
    const { lhr } = await lighthouse(url, { port: chrome.port, onlyCategories: CATEGORIES, logLevel: 'error', extraHeaders });
    if (lhr.runtimeError) throw new Error(`${url}: ${lhr.runtimeError.message}`);
    const value = (audit) => lhr.audits[audit].numericValue;
    const requests = lhr.audits['network-requests'].details.items;
    const bytes = (wanted) => requests.filter(wanted).reduce((sum, { transferSize = 0 }) => sum + transferSize, 0);
    const costly = CATEGORIES.flatMap((name) => lhr.categories[name].auditRefs)
      .filter(({ id, weight }) => weight > 0 && lhr.audits[id].score !== null && lhr.audits[id].score < 0.9);
    return {
      performance: Math.round(lhr.categories.performance.score * 100),
      accessibility: Math.round(lhr.categories.accessibility.score * 100),
      practices: Math.round(lhr.categories['best-practices'].score * 100),
      fcp: value('first-contentful-paint'),
      lcp: value('largest-contentful-paint'),
      tbt: value('total-blocking-time'),
      cls: value('cumulative-layout-shift'),
      kilobytes: bytes(({ resourceType }) => resourceType !== 'Image') / 1000,
      costly: costly.map(({ id }) => id),
    };
  } finally {
    chrome.kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
