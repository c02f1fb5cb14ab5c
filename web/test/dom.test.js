import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setSources } from '../app/dom.js';

/** An `<img>` and the `<source>` before it, as far as `setSources` needs them. */
function picture() {
  const element = () => ({
    removeAttribute(name) {
      delete this[name];
    },
  });
  const source = element();
  const image = { ...element(), parentElement: { querySelector: () => source } };
  return { source, image };
}

test('WebP is offered before the other files where it was made, and is gone with the item', () => {
  const { source, image } = picture();
  setSources(image, { srcset: '/a.jpg 150w', srcset_webp: '/a.webp 150w' }, '100px');
  assert.deepEqual([source.srcset, image.srcset], ['/a.webp 150w', '/a.jpg 150w']);
  assert.deepEqual([source.sizes, image.sizes], ['100px', '100px']);
  setSources(image, { srcset: '/b.jpg 150w', srcset_webp: null }, '100px');
  assert.deepEqual(['srcset' in source, image.srcset], [false, '/b.jpg 150w']);
  setSources(image, null);
  assert.deepEqual(['srcset' in source, 'srcset' in image], [false, false]);
});

test('a picture of a catalogue, which has one address, has no sets', () => {
  const { source, image } = picture();
  setSources(image, { url: 'https://cdn.example/1.jpg', srcset: null }, '100px');
  assert.deepEqual(['srcset' in source, 'srcset' in image], [false, false]);
});
