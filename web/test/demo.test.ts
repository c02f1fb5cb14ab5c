import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PICTURES, randoms, visit } from '../src/lib/demo.js';

const items = PICTURES.map(({ name }, at) => ({ image_id: `i${at}`, name: `${name}.jpg`, position: at + 1, place: `p${at}` }));

test('a visitor views from the top on, clicks only what was viewed, and hands back the receipts', () => {
  const random = randoms(7);
  for (let count = 0; count < 50; count++) {
    const events = visit('s', 'g', items, random);
    const of = (name) => events.filter((event) => event.name === name).map(({ data }) => data.image_id);
    assert.deepEqual(of('view'), items.slice(0, of('view').length).map(({ image_id }) => image_id));
    assert.ok(of('click').every((id) => of('view').includes(id)));
    assert.ok(events.every(({ place, data }) => place === `p${data.image_id.slice(1)}`));
  }
});

test('favourites are clicked more often than the others', () => {
  const random = randoms(1);
  const clicks = new Map();
  for (let count = 0; count < 2000; count++) {
    for (const { name, data } of visit('s', 'g', items, random)) if (name === 'click') clicks.set(data.image_id, (clicks.get(data.image_id) ?? 0) + 1);
  }
  assert.ok(clicks.get('i0') > 2 * (clicks.get('i5') ?? 0), [...clicks].join(' '));
});
