import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWithin, justify, lastRow, touching } from '../dist/shared/justify.js';

/** Puts sizes into rows as the browser wraps them. */
function wrapped(sizes, { width, gap }) {
  const rows = [[]];
  let used = 0;
  for (const size of sizes) {
    const row = rows.at(-1);
    if (row.length && used + gap + size.width > width) {
      rows.push([size]);
      used = size.width;
    } else {
      row.push(size);
      used += (row.length > 1 ? gap : 0) + size.width;
    }
  }
  return rows;
}

/** Aspects without chance, from very tall to very wide. */
const aspects = Array.from({ length: 500 }, (_, index) => 0.5 + (((index * 7919) % 1000) / 1000) * 2.5);

test('every row but the last is as wide as the grid, with tiles of one height, at any width', () => {
  for (const width of [320, 366, 812.5, 1204, 1800]) {
    const grid = { width, row: width < 700 ? 130 : 220, gap: 5 };
    const rows = wrapped(justify(aspects, grid), grid);
    rows.forEach((row, index) => {
      const total = row.reduce((sum, size) => sum + size.width, 0) + grid.gap * (row.length - 1);
      assert.ok(total <= width, `row ${index} of ${width} does not run over`);
      if (index < rows.length - 1) assert.ok(total > width - 1, `row ${index} of ${width} is full: ${total}`);
      assert.equal(new Set(row.map((size) => size.height)).size, 1);
    });
  }
});

test('no row is more than twice or less than half as high as wanted', () => {
  const grid = { width: 366, row: 130, gap: 4 };
  for (const { height } of justify(aspects, grid)) assert.ok(height > 65 && height < 260, String(height));
});

test('the last row keeps the wanted height instead of stretching one photo over the page', () => {
  assert.deepEqual(justify([1.5], { width: 1200, row: 200, gap: 5 }), [{ left: 0, top: 0, width: 300, height: 200 }]);
});

test('a lone photo wider than the grid is fitted in', () => {
  const [size] = justify([3], { width: 300, row: 200, gap: 5 });
  assert.deepEqual(size, { left: 0, top: 0, width: 300, height: 100 });
});

test('rows that are full stay as they are when more photos come', () => {
  const grid = { width: 1200, row: 220, gap: 5 };
  const some = justify(aspects.slice(0, 40), grid);
  const full = wrapped(some, grid).slice(0, -1).flat();
  assert.deepEqual(justify(aspects, grid).slice(0, full.length), full);
});

test('an empty gallery has no sizes', () => {
  assert.deepEqual(justify([], { width: 100, row: 50, gap: 5 }), []);
});

test('rows are as wide as the grid, keep the order, and never overlap', () => {
  const aspects = Array.from({ length: 40 }, (_, index) => 0.5 + ((index * 7) % 11) / 4);
  for (const width of [320, 768, 1280]) {
    const boxes = justify(aspects, { width, row: 200, gap: 6 });
    assert.equal(boxes.length, aspects.length);
    boxes.forEach((box, index) => {
      assert.ok(Math.abs(box.width / box.height - aspects[index]) < 0.05);
      const next = boxes[index + 1];
      if (!next) return;
      if (next.top === box.top) assert.ok(Math.abs(next.left - (box.left + box.width + 6)) < 0.1);
      else {
        assert.equal(next.left, 0);
        assert.ok(next.top >= box.top + box.height + 6);
        const right = box.left + box.width;
        assert.ok(right <= width && right > width - 1, `${right} of ${width}`);
      }
    });
  }
});

/** Rows of three boxes, each 100 by 100 with a gap of 10. */
const rows = (count) => Array.from({ length: count }, (_, at) => ({ top: Math.floor(at / 3) * 110, height: 100 }));

test('only boxes that touch the screen are found, whole rows at a time', () => {
  assert.deepEqual(touching(rows(9), 105, 215), { first: 3, end: 6 });
  assert.deepEqual(touching(rows(9), -500, 50), { first: 0, end: 3 });
  assert.deepEqual(touching(rows(9), 5000, 6000), { first: 9, end: 9 });
  assert.deepEqual(touching([], 0, 100), { first: 0, end: 0 });
});

test('the first tiles fill the screen until one after them begins above its end', () => {
  assert.equal(isWithin(rows(9), 6, 220), true, 'the third row begins at the end');
  assert.equal(isWithin(rows(9), 6, 221), false);
  assert.equal(isWithin(rows(9), 6, 50_000), false, 'far below, after a jump');
  assert.equal(isWithin(rows(9), 9, 50_000), true, 'there are no more');
});

test('tiles that are added change the last row alone', () => {
  const aspects = Array.from({ length: 60 }, (_, at) => 0.5 + ((at * 37) % 25) / 10);
  const measures = { width: 900, row: 220, gap: 6 };
  const all = justify(aspects, measures);
  assert.equal(lastRow([]), 0);
  for (let count = 1; count < aspects.length; count++) {
    const before = justify(aspects.slice(0, count), measures);
    const from = lastRow(before);
    const rest = justify(aspects.slice(from), measures).map((box) => ({ ...box, top: box.top + before[from].top }));
    assert.deepEqual([...before.slice(0, from), ...rest], all, `after ${count} tiles`);
  }
});
