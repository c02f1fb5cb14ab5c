import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Debounce, unknownItems } from '../app/gallery.js';
import { aspectOf, nameOf, sameSource } from '../app/gallery-view.js';

test('a page that repeats images after an expired cursor adds only the new ones', () => {
  const page = { items: [{ image_id: 'a' }, { image_id: 'b' }] };
  assert.deepEqual(unknownItems(new Set(['a']), page), [{ image_id: 'b' }]);
});

test('a tile has the photo’s shape within bounds, and is square when the shape is unknown', () => {
  assert.equal(aspectOf({ width: 4000, height: 3000 }), 4 / 3);
  assert.equal(aspectOf({ width: 10_000, height: 100 }), 3);
  assert.equal(aspectOf({ width: 100, height: 10_000 }), 0.5);
  assert.equal(aspectOf({ width: null, height: null }), 1);
});

test('a fresh signature on the same bytes does not load a photo again', () => {
  assert.ok(sameSource('/a.jpg?sig=1 150w, /b.jpg?sig=1 700w', '/a.jpg?sig=2 150w, /b.jpg?sig=2 700w'));
  assert.ok(!sameSource('/a.jpg?sig=1', '/c.jpg?sig=1'));
  assert.ok(sameSource(null, undefined));
});

test('a photo is called by its name, else by the catalogue’s id', () => {
  assert.equal(nameOf({ name: 'Lake', external_id: 'sku-1' }), 'Lake');
  assert.equal(nameOf({ name: null, external_id: 'sku-1' }), 'sku-1');
  assert.equal(nameOf({}), 'Photo without a name');
});

test('many hints make one refresh, and refreshes keep their distance', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let runs = 0;
    const debounce = new Debounce(() => runs++, 1000);
    for (let hint = 0; hint < 20; hint++) debounce.poke();
    mock.timers.tick(60);
    assert.equal(runs, 1);
    debounce.poke();
    mock.timers.tick(500);
    assert.equal(runs, 1, 'the second has to wait');
    mock.timers.tick(600);
    assert.equal(runs, 2);
  } finally {
    mock.timers.reset();
  }
});

test('what is hinted while held back is made up for once, on release', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let runs = 0;
    const debounce = new Debounce(() => runs++, 1000);
    debounce.held = true;
    debounce.poke();
    debounce.poke();
    mock.timers.tick(5000);
    assert.equal(runs, 0);
    debounce.release();
    mock.timers.tick(1000);
    assert.equal(runs, 1);
    debounce.release();
    mock.timers.tick(5000);
    assert.equal(runs, 1, 'nothing was missed since');
  } finally {
    mock.timers.reset();
  }
});
