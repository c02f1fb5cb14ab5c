import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogueType } from '../src/lib/catalogue.js';

test('the type of a catalogue is that of its ending', () => {
  const types = ['feed.csv', 'google.TSV', 'all.ndjson', 'a.b.json', 'photo.jpg', 'csv'].map(catalogueType);
  assert.deepEqual(types, ['text/csv', 'text/tab-separated-values', 'application/x-ndjson', 'application/json', null, null]);
});
