/** Journeys of an analyst and a developer: events, reports, keys, and what a shop's owner sets. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fillShop } from './shop.js';
import { noFindings, openPage, pictures, startApp, startBrowser, until } from './support.js';

describe('events, insight, images and settings', { concurrency: false }, () => {
  let app;
  let browser;
  let shop;
  let page;
  const open = (path) => page.goto(`${app.host}/#/${path}${path.includes('?') ? '&' : '?'}project=${shop.project_id}`);
  const figure = (label) => page.locator('.answer', { hasText: label }).locator('strong').innerText();
  const report = (name, query = '') => {
    const from = new Date(Date.now() - 6 * 86_400_000).toISOString().slice(0, 10);
    const to = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    return app.api('GET', `/analytics/${name}?project_id=${shop.project_id}&from=${from}&to=${to}&timezone=UTC${query}`);
  };
  before(async () => {
    [app, browser] = await Promise.all([startApp(), startBrowser()]);
    shop = await fillShop(app);
    page = await openPage(browser, app, { timezoneId: 'UTC' });
  });
  after(async () => {
    await browser?.close();
    await app?.stop();
  });

  test('an event that fails its type is found, the type is corrected, and the events are counted', async () => {
    await open('events/quarantine');
    const { causes } = await app.api('GET', `/events/quarantine/causes?project_id=${shop.project_id}`);
    const failed = causes.find(({ name }) => name === 'pay').events;
    assert.ok(failed > 0);
    await page.getByRole('link', { name: 'shop / pay' }).click();
    await page.getByText('data.amount').first().waitFor();
    await noFindings(page, 'a cause');
    await page.getByRole('button', { name: 'Try without changing anything' }).click();
    await page.getByText(`0 events would count, ${failed} would still fail.`).waitFor();
    await page.getByRole('link', { name: 'Open the type' }).click();
    await page.getByLabel('Schema').fill('{"type": ');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('This is not JSON').waitFor();
    await page.getByLabel('Schema').fill('{"type": "object", "required": ["amount"]}');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Version 2').waitFor();
    await page.getByLabel('Data').fill('{"sum": 1}');
    await page.getByRole('button', { name: 'Try data' }).click();
    await page.locator('.card .problem').first().waitFor();
    await page.getByLabel('Data').fill('{"amount": "free"}');
    await page.getByRole('button', { name: 'Try data' }).click();
    await page.getByText('It fits version 2 of the schema.').waitFor();
    await open('events/quarantine?category=shop&name=pay&reason=schema');
    await page.getByRole('button', { name: 'Replay', exact: true }).click();
    await page.getByText('No event of this cause is left.').waitFor();
    const left = await app.api('GET', `/events/quarantine/causes?project_id=${shop.project_id}`);
    assert.deepEqual(left.causes.filter(({ name }) => name === 'pay'), []);
  });

  test('an event appears by itself, tells what it was counted into, and is filtered by its session', async () => {
    await open('events');
    await page.getByRole('cell').first().waitFor();
    const session_id = randomUUID();
    const body = JSON.stringify({ session_id, category: 'shop', name: 'return', data: { why: "it's small" }, timestamp: new Date().toISOString() });
    await fetch(`${app.host}/api/v1/events`, { method: 'POST', headers: { application: shop.application_id, 'Content-Type': 'application/json' }, body });
    await page.getByRole('link', { name: 'shop / return' }).click();
    await page.getByText('It was counted into the figures').or(page.getByText('will be counted within a second')).waitFor();
    await page.getByText(`'{"session_id":"${session_id}"`).waitFor();
    await page.keyboard.press('Escape');
    await page.getByLabel('Session').fill(session_id);
    await page.waitForResponse(/\/events\?/);
    await page.waitForResponse(/\/events\?/);
    await page.keyboard.press('Enter');
    await until(async () => (await page.locator('tbody tr').count()) === 1, 'one event');
    await noFindings(page, 'live events');
  });

  test('the dashboard tells the figures of the API', async () => {
    await open('insight');
    const usage = await report(`galleries/${shop.gallery_id}`);
    const { rows } = await report('counts', '&interval=all');
    await until(async () => (await figure('Views')) === usage.total.views.toLocaleString('en'), 'the views');
    assert.equal(await figure('Clicks'), usage.total.clicks.toLocaleString('en'));
    assert.equal(await figure('Visits'), rows[0].sessions.toLocaleString('en'));
    await page.locator('.pictures .thumb').first().waitFor();
    await noFindings(page, 'dashboard');
  });

  test('features, paths, funnel and retention tell the figures of the API', async () => {
    await open('insight/features');
    const features = await report('features', '&order=most&limit=100');
    await until(async () => (await page.locator('tbody tr').count()) === features.rows.length, 'all features');
    assert.ok((await page.locator('tbody tr').first().innerText()).includes(features.rows[0].count.toLocaleString('en')));
    await open('insight/paths');
    const paths = await report('paths', '&anchor=start&depth=3&limit=40');
    await page.locator('.flow-node').first().waitFor();
    assert.equal(await page.locator('tbody tr').count(), paths.rows.length);
    await noFindings(page, 'paths');
    await open('insight/funnel');
    for (const step of ['shop / visit', 'shop / cart']) await page.getByLabel('Add a step…').selectOption(step);
    const funnel = await report('funnel', '&steps=shop%2Fvisit,shop%2Fcart&within=30m');
    await until(async () => (await page.locator('.funnel li').count()) === 2, 'two steps');
    for (const [at, { sessions }] of funnel.rows.entries()) assert.ok((await page.locator('.funnel li').nth(at).innerText()).includes(`${sessions} visits`));
    await noFindings(page, 'funnel');
    await open('insight/retention?period=day');
    const { rows } = await app.api('GET', `/analytics/retention?project_id=${shop.project_id}&period=day&timezone=UTC`);
    await until(async () => (await page.locator('.cohorts tbody tr').count()) === rows.length, 'all cohorts');
    await noFindings(page, 'retention');
  });

  test('a question in SQL is answered as a table and a chart, kept in the address and the history', async () => {
    await open('insight/sql');
    await page.getByLabel('Examples').selectOption('Events by type');
    await page.getByRole('button', { name: 'Run' }).click();
    const { rows } = await report('features', '&limit=100');
    await until(async () => (await page.locator('tbody tr').count()) === rows.filter(({ count }) => count).length, 'a row for each type');
    assert.ok(page.url().includes('q=SELECT'), page.url());
    await page.getByLabel('Examples').selectOption('Events by hour');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.locator('.chart canvas').waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download CSV' }).click();
    assert.equal((await download).suggestedFilename(), 'eyeline.csv');
    const file = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download Parquet' }).click();
    assert.equal(readFileSync(await (await file).path(), 'latin1').slice(0, 4), 'PAR1');
    await page.goBack();
    assert.ok((await page.getByLabel('History').locator('option').count()) >= 3);
    await page.getByLabel('SQL query').focus();
    await page.keyboard.press('Control+A');
    await page.keyboard.press('Delete');
    await page.keyboard.type('SELECT nothing FROM nowhere');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('alert').waitFor();
    assert.deepEqual(page.problems, []);
    await noFindings(page, 'sql');
  });

  test('a question is saved by name and pinned; the dashboard asks it, in this browser', async () => {
    await open(`insight/sql?q=${encodeURIComponent('SELECT category, count(*) AS events FROM events GROUP BY 1 ORDER BY 2 DESC')}`);
    await page.locator('tbody tr').first().waitFor();
    await page.getByRole('button', { name: 'Save this question' }).click();
    await page.getByRole('dialog').getByText('kept in this browser, not on the server').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('Give the question a name.').waitFor();
    await page.getByLabel('Name of the question').fill('Events by category');
    await page.getByLabel('On the dashboard').check();
    await page.getByRole('dialog').getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('link', { name: 'Events by category' }).waitFor();
    await noFindings(page, 'saved questions');
    await app.api('PATCH', `/galleries/${shop.gallery_id}`, { ranking: { guard: true } });
    await app.api('PUT', `/galleries/${shop.gallery_id}/rules`, { boost: [{ tag: 'shoes', factor: 2 }] });
    await open('insight');
    await page.getByRole('region', { name: 'Events by category' }).getByRole('cell', { name: 'gallery' }).waitFor();
    for (const mark of ['images added', 'Guard on', '1 rule added']) await page.locator('.marks').getByText(mark).waitFor();
    await app.api('PATCH', `/galleries/${shop.gallery_id}`, { ranking: { guard: false } });
    await app.api('DELETE', `/galleries/${shop.gallery_id}/rules`);
    await noFindings(page, 'a dashboard with a question and marks');
    await page.getByRole('link', { name: 'Events by category' }).click();
    await page.getByRole('button', { name: 'Delete: Events by category' }).click();
    await until(async () => (await page.getByRole('heading', { name: 'Saved questions' }).count()) === 0, 'no question');
  });

  test('a gallery is told by picture and by rank', async () => {
    await open('insight/pictures');
    const usage = await report(`galleries/${shop.gallery_id}`);
    const rows = page.getByRole('region', { name: 'By picture' }).locator('tbody tr');
    await until(async () => (await rows.count()) === Math.min(25, usage.rows.length), 'a row for each picture');
    assert.ok((await rows.first().innerText()).includes(usage.rows[0].views.toLocaleString('en')));
    await page.getByRole('heading', { name: 'By rank' }).waitFor();
    await noFindings(page, 'pictures');
  });

  test('a visitor\u2019s uploads are found by the visitor\u2019s id and deleted', async () => {
    const form = new FormData();
    form.append('user_id', 'anna');
    form.append('data', new Blob([pictures(1, 77)[0].buffer], { type: 'image/png' }), 'own.png');
    const sent = await fetch(`${app.host}/api/v1/uploads`, { method: 'POST', headers: { Authorization: `Bearer ${shop.secret_key}` }, body: form });
    assert.ok(sent.ok, String(sent.status));
    const { image_id } = await sent.json();
    await open('settings/uploads');
    await page.getByLabel('The visitor’s user id').fill('anna');
    await page.keyboard.press('Enter');
    await page.getByRole('cell', { name: 'own.png', exact: true }).waitFor();
    await noFindings(page, 'visitors’ uploads');
    await page.getByRole('button', { name: 'Delete: own.png' }).click();
    await page.locator('.notice').getByRole('button', { name: 'Close' }).last().click();
    await until(() => app.api('GET', `/images/${image_id}`).then(() => false, () => true), 'a deleted upload');
  });

  test('failed images come first with their reason, and are retried only where it can help', async () => {
    await open('images');
    const first = page.locator('tbody tr').first();
    await first.getByText('broken.jpg').waitFor();
    await first.getByText('The file is not a picture').waitFor();
    assert.equal(await first.getByRole('button', { name: 'Retry' }).count(), 0);
    await page.getByText('Ready', { exact: true }).first().click();
    await until(async () => (await page.locator('tbody tr').count()) === 12 && page.url().includes('state=done'), 'the ready ones');
    await noFindings(page, 'images');
  });

  test('a key is rotated: both work in the overlap, and a revoked application ends at once', async () => {
    await open('settings');
    await page.getByRole('button', { name: 'New application' }).click();
    await page.getByLabel('Name').fill('Robot');
    await page.getByLabel('Allowed origins').fill('https://shop.example\nhttps://www.shop.example');
    await page.getByRole('button', { name: 'Create' }).click();
    const keys = [];
    const shownKey = async () => {
      await page.getByText('Store these secrets now').waitFor();
      keys.push(await page.locator('pre[aria-label="Secret key"]').innerText());
      await noFindings(page, 'secrets');
      await page.getByRole('button', { name: 'I have stored them' }).click();
    };
    await shownKey();
    await page.getByRole('button', { name: 'Rotate the key: Robot' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate the key' }).click();
    await shownKey();
    const status = async (key) => (await fetch(`${app.host}/api/v1/projects`, { headers: { Authorization: `Bearer ${key.trim()}` } })).status;
    assert.notEqual(keys[0], keys[1]);
    assert.deepEqual([await status(keys[0]), await status(keys[1])], [200, 200]);
    await page.getByRole('button', { name: 'Revoke: Robot' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await until(async () => (await status(keys[1])) === 401, 'an end of the key');
  });

  test('a session is erased with a receipt', async () => {
    await open('settings/erasures');
    const { session_id } = shop.events.at(-1);
    await page.getByLabel('session_id').fill('somebody');
    await page.getByRole('button', { name: 'Erase the session' }).click();
    await page.locator('.field .problem').waitFor();
    await page.getByLabel('session_id').fill(session_id);
    await page.getByRole('button', { name: 'Erase the session' }).click();
    await page.getByText(session_id).waitFor();
    const { events } = await app.api('GET', `/events?project_id=${shop.project_id}&session_id=${session_id}`);
    assert.deepEqual(events, []);
    await noFindings(page, 'erasures');
  });

  test('the owner changes the order, sets a rule and undoes it, and gets the lines for the own site', async () => {
    await open(`gallery/${shop.gallery_id}/order`);
    await page.getByRole('button', { name: 'Use: Click rate' }).click();
    await until(async () => (await app.api('GET', `/galleries/${shop.gallery_id}`)).ranking.strategy === 'ctr', 'another strategy');
    await page.getByRole('button', { name: 'Estimate: Interest', exact: true }).click();
    await page.locator('.other [role=status]').waitFor();
    await page.getByRole('button', { name: 'Add a rule' }).click();
    await page.getByLabel('Photos by').selectOption('image_id');
    await page.getByLabel('Value').fill(shop.images[5]);
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    const first = async () => (await app.api('GET', `/galleries/${shop.gallery_id}/images?limit=1`)).items[0].image_id;
    await until(async () => (await first()) === shop.images[5], 'the pinned image first');
    await page.getByText('Pin to rank 1').waitFor();
    await noFindings(page, 'order');
    await page.getByRole('button', { name: 'Undo' }).last().click();
    await page.getByText('No rules.').waitFor();
    await open(`gallery/${shop.gallery_id}/share`);
    await page.getByText(`<eyeline-gallery gallery="${shop.gallery_id}" application="${shop.application_id}">`).waitFor();
    await noFindings(page, 'share');
  });

  test('the rest of the settings: the project is renamed, the engines answer, a sign-in link is made', async () => {
    await open('settings/project');
    await page.getByLabel('Name').fill('My shop');
    await page.getByRole('button', { name: 'Save' }).click();
    await until(async () => (await app.api('GET', `/projects/${shop.project_id}`)).name === 'My shop', 'a new name');
    await noFindings(page, 'project');
    await open('settings/jobs');
    await page.getByText('No job has failed.').waitFor();
    await open('settings/system');
    await page.getByText('The server is ready.').waitFor();
    await page.getByRole('button', { name: 'Make a sign-in link' }).click();
    const link = await page.getByLabel('Sign-in link', { exact: true }).innerText();
    const other = await openPage(browser, app, { signedIn: false, path: `/${new URL(link.trim()).hash}` });
    await other.locator('header.top').waitFor();
    assert.deepEqual([page.problems, other.problems], [[], []]);
  });
});
