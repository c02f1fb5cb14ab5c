import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { html, makeShop, startBrowser, startEyeline, startSite, until } from '../support/eyeline.js';

let eyeline, site, browser, shop;
const TIMEOUT_MS = 900_000;

before(async () => {
  [eyeline, site, browser] = await Promise.all([startEyeline(), startSite(), startBrowser()]);
  shop = await makeShop(eyeline, [site.origin]);
  site.pages['/'] = html('<h1>Shop</h1>');
  site.pages['/next'] = html('<h1>Next</h1>');
});
after(async () => {
  await browser?.close();
  await Promise.all([site?.stop(), eyeline?.stop()]);
});

/** A page of the shop whose tracker is begun with these options. What it logs stands in `page.told`. */
async function open(options = {}, context = undefined, path = '/') {
  const page = await (context ?? (await browser.newContext())).newPage();
  page.told = [];
  page.on('console', (message) => page.told.push(message.text()));
  await page.goto(site.origin + path);
  await begin(page, options);
  return page;
}

/** Begins the tracker of a page, and gives its session. */
async function begin(page, options = {}) {
  page.session = await page.evaluate(
    async ([script, given]) => {
      const { createTracker } = await import(script);
      window.tracker = createTracker(given);
      return window.tracker.session_id;
    },
    [`${eyeline.host}/eyeline.js`, { application: shop.application_id, ...options }],
  );
}

/** Keeps what a context sends to the server, until the function that this gives is called. */
async function cutOff(context) {
  const pattern = `${eyeline.host}/api/**`;
  await context.route(pattern, (route) => route.abort());
  return () => context.unroute(pattern);
}

const arrived = (session_id, count, filter) =>
  until(async () => {
    const events = await shop.events({ session_id, ...filter });
    return events.length >= count && events;
  }, `${count} events of ${session_id}`);

describe('the tracker on a page of another origin', { concurrency: 4, timeout: TIMEOUT_MS }, () => {
  test('sends what it is told, without a preflight and compressed within its size', async () => {
    const context = await browser.newContext();
    const requests = [];
    context.on('request', (request) => request.url().includes('/api/') && requests.push(request));
    const page = await open({}, context);
    await page.evaluate(() => window.tracker.track('shop', 'search', { words: 'red shoes' }));
    const [event] = await arrived(page.session, 1);
    assert.deepEqual([event.category, event.name, event.data], ['shop', 'search', { words: 'red shoes' }]);
    await until(() => requests.length, 'news of the request');
    assert.deepEqual(requests.map((request) => request.method()), ['POST']);
    for (const [name, most] of [['eyeline.js', 4000], ['eyeline-gallery.js', 12_000]]) {
      const response = await fetch(`${eyeline.host}/${name}`, { headers: { 'Accept-Encoding': 'gzip' } });
      assert.equal(response.headers.get('content-encoding'), 'gzip');
      const { gzipSync } = await import('node:zlib');
      assert.ok(gzipSync(await response.text()).length <= most, name);
    }
    await context.close();
  });

  test('begins by its own script element, as window.eyeline', async () => {
    const script = `<script type="module" src="${eyeline.host}/eyeline.js" data-application="${shop.application_id}"></script>`;
    site.pages['/script'] = html('', script);
    const page = await (await browser.newContext()).newPage();
    await page.goto(`${site.origin}/script`);
    await page.waitForFunction(() => window.eyeline);
    const session = await page.evaluate(() => {
      window.eyeline.track('shop', 'start', {});
      return window.eyeline.session_id;
    });
    await arrived(session, 1);
  });

  for (const consent of ['granted', 'cookieless']) {
    for (const [how, leave] of [
      ['goes to another site', (page) => page.goto('about:blank')],
      ['is closed', (page) => page.close({ runBeforeUnload: true })],
      ['follows a link', (page) => page.evaluate(() => location.assign('/next'))],
    ]) {
      test(`what waits is sent when the visitor ${how} (${consent})`, async () => {
        const page = await open({ consent, flush_ms: 5000 });
        await page.evaluate(() => {
          for (let number = 0; number < 20; number++) window.tracker.track('shop', 'late', { number });
        });
        await leave(page);
        const events = await arrived(page.session, 20);
        assert.equal(new Set(events.map(({ data }) => data.number)).size, 20);
      });
    }
  }

  test('a JSON blob that a page itself sends as a beacon arrives as well', async () => {
    const page = await open();
    const session = await page.evaluate(
      ([host, application]) => {
        const session_id = crypto.randomUUID();
        const event = { session_id, category: 'shop', name: 'own', data: {}, timestamp: new Date().toISOString() };
        const blob = new Blob([JSON.stringify(event)], { type: 'application/json' });
        navigator.sendBeacon(`${host}/api/v1/events?application=${application}`, blob);
        return session_id;
      },
      [eyeline.host, shop.application_id],
    );
    await arrived(session, 1);
  });

  test('offline for 60 s, 500 events: all are counted once', async () => {
    const context = await browser.newContext();
    const page = await open({}, context);
    await context.setOffline(true);
    const began = Date.now();
    for (let round = 0; round < 10; round++) {
      await page.evaluate((from) => {
        for (let number = from; number < from + 50; number++) window.tracker.track('shop', 'offline', { number });
      }, round * 50);
      await sleep(4000);
    }
    await sleep(Math.max(0, began + 60_000 - Date.now()));
    assert.equal((await shop.events({ session_id: page.session })).length, 0);
    await context.setOffline(false);
    await arrived(page.session, 500);
    // Longer than any repetition would take.
    await sleep(3000);
    const events = await shop.events({ session_id: page.session });
    assert.equal(events.length, 500);
    assert.equal(new Set(events.map(({ data }) => data.number)).size, 500);
    const query = new URLSearchParams({ project_id: shop.project_id, category: 'shop', name: 'offline', interval: 'day' });
    const { rows } = await eyeline.api('GET', `/analytics/counts?${query}`);
    assert.equal(rows.reduce((sum, { count }) => sum + count, 0), 500);
    assert.equal(await page.evaluate(() => localStorage.length), 0, 'what is settled is not kept');
  });

  test('what waits survives a reload, and what two tabs send both counts once', async () => {
    const context = await browser.newContext();
    const reconnect = await cutOff(context);
    const first = await open({}, context);
    await first.evaluate(() => {
      for (let number = 0; number < 120; number++) window.tracker.track('shop', 'reload', { number });
    });
    const { session } = first;
    await first.reload();
    await begin(first);
    assert.equal(first.session, session, 'the session is that of the tab');
    const second = await open({}, context);
    await reconnect();
    await Promise.all([first, second].map((page) => page.evaluate(() => window.tracker.flush())));
    await arrived(session, 120);
    await sleep(2000);
    const events = await shop.events({ session_id: session });
    assert.equal(events.length, 120);
    assert.equal(new Set(events.map(({ event_id }) => event_id)).size, 120);
  });

  test('an answer that got lost is no second event', async () => {
    const context = await browser.newContext();
    const page = await open({}, context);
    let lost = 0;
    await context.route(`${eyeline.host}/api/**`, async (route) => {
      if (lost++) return route.continue();
      await route.fetch();
      await route.abort();
    });
    await page.evaluate(() => window.tracker.track('shop', 'lost answer'));
    await until(() => lost > 1, 'a second attempt');
    await until(() => page.evaluate(() => !localStorage.length), 'an answer');
    assert.equal((await shop.events({ session_id: page.session })).length, 1);
  });

  test('with consent denied nothing is stored or sent, and what was stored is gone', async () => {
    const context = await browser.newContext();
    const reconnect = await cutOff(context);
    const page = await open({}, context);
    await page.evaluate(() => window.tracker.track('shop', 'before'));
    await page.evaluate(() => window.tracker.flush());
    const stored = () => page.evaluate(() => localStorage.length + sessionStorage.length + document.cookie.length);
    assert.ok((await stored()) > 0);
    const requests = [];
    context.on('request', (request) => request.url().startsWith(eyeline.host) && requests.push(request.url()));
    await reconnect();
    await page.evaluate(async () => {
      window.tracker.consent('denied');
      window.tracker.track('shop', 'after');
      await window.tracker.flush();
      addEventListener('pagehide', () => {});
    });
    await sleep(7000);
    assert.equal(await stored(), 0);
    await page.goto(`${site.origin}/next`);
    assert.deepEqual(requests, []);
    assert.equal((await shop.events({ session_id: page.session })).length, 0);
  });

  test('before the visitor has answered, nothing is stored or sent; then it is', async () => {
    const page = await open({ consent: 'pending' });
    await page.evaluate(() => window.tracker.track('shop', 'early'));
    await sleep(2500);
    assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
    const session = await page.evaluate(() => {
      window.tracker.consent('granted');
      return window.tracker.session_id;
    });
    await arrived(session, 1);
  });

  test('a browser with Global Privacy Control sends nothing', async () => {
    const context = await browser.newContext();
    await context.addInitScript(() => Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { value: true }));
    const page = await open({ debug: true }, context);
    await page.evaluate(() => window.tracker.track('shop', 'private'));
    await sleep(2500);
    assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
    assert.equal(page.session, null);
    assert.match(page.told.join('\n'), /\[consent\] Global Privacy Control/);
  });
});

describe('debug names the check that fails', { concurrency: 4, timeout: TIMEOUT_MS }, () => {
  const told = (page, pattern) =>
    until(() => page.told.some((line) => pattern.test(line)), () => `${pattern} in ${page.told.join('\n')}`);
  const track = (page) => page.evaluate(() => window.tracker.track('shop', 'debug'));

  test('a blocked origin', async () => {
    const own = await startEyeline();
    try {
      const blocked = await makeShop(own, ['https://elsewhere.example']);
      const page = await open({ application: blocked.application_id, host: own.host, debug: true });
      await track(page);
      await told(page, new RegExp(`\\[origin\\].*${blocked.application_id}.*${site.origin}`));
      assert.equal((await blocked.events()).length, 0);
      // Put right, the events that waited arrive.
      await own.api('PATCH', `/applications/${blocked.application_id}`, { allowed_origins: [site.origin] });
      await page.evaluate(() => window.tracker.flush());
      await until(async () => (await blocked.events()).length === 1, 'the event');
    } finally {
      await own.stop();
    }
  });

  test('an application that is wrong', async () => {
    const page = await open({ application: '0198c0de-0000-7000-8000-000000000001', debug: true });
    await track(page);
    await told(page, /\[application\].*0198c0de/);
  });

  test('a Content-Security-Policy', async () => {
    site.pages['/csp'] = {
      body: html('<h1>Shop</h1>'),
      headers: { 'Content-Security-Policy': `script-src 'self' ${eyeline.host} 'unsafe-eval'; connect-src 'self'` },
    };
    const page = await open({ debug: true }, undefined, '/csp');
    await track(page);
    await told(page, /\[csp\].*connect-src/);
  });

  test('a browser that is offline', async () => {
    const context = await browser.newContext();
    const page = await open({ debug: true }, context);
    await context.setOffline(true);
    await track(page);
    await told(page, /\[offline\]/);
  });

  test('a server that is not there', async () => {
    const page = await open({ host: 'http://127.0.0.1:9', debug: true });
    await track(page);
    await told(page, /\[server\].*127\.0\.0\.1:9/);
  });
});
