/** Justified rows: every row as wide as the grid, its tiles equally high, their order untouched. Pure. */

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The browser lays out in steps of a 64th of a pixel; rounding up would push the last tile out of its row. */
const floor = (px: number): number => Math.floor(px * 64) / 64;

const sum = (list: number[]): number => list.reduce((total, value) => total + value, 0);

/** How far a height is from the one aimed at; twice as high is as bad as half as high. */
const miss = (height: number, target: number): number => Math.abs(Math.log(height / target));

/**
 * Boxes for tiles of these aspects (width by height) in a grid `width` wide with rows about `row` high and `gap`
 * between tiles, all in pixels. A row takes in the next tile as long as that brings its height closer to `row`. The last
 * row is not stretched, since more tiles may come.
 */
export function justify(aspects: number[], { width, row, gap }: { width: number; row: number; gap: number }): Box[] {
  const boxes: Box[] = [];
  let line: number[] = [];
  let top = 0;
  const heightOf = (tiles: number[]) => (width - gap * (tiles.length - 1)) / sum(tiles);
  const close = (height: number) => {
    let left = 0;
    for (const aspect of line) {
      const box = { left, top, width: floor(height * aspect), height: floor(height) };
      boxes.push(box);
      left += box.width + gap;
    }
    top += floor(height) + gap;
    line = [];
  };
  for (const aspect of aspects) {
    const wider = [...line, aspect];
    if (line.length && miss(heightOf(wider), row) > miss(heightOf(line), row)) close(heightOf(line));
    line.push(aspect);
  }
  if (line.length) close(Math.min(row, heightOf(line)));
  return boxes;
}

/** The index at which the last row begins. Tiles that are added later change no row before it. */
export function lastRow(boxes: { top: number }[]): number {
  let first = boxes.length;
  while (first > 0 && boxes[first - 1]!.top === boxes.at(-1)!.top) first--;
  return first;
}

/** True if no box after the first `count` begins above `bottom`. */
export const isWithin = (boxes: { top: number }[], count: number, bottom: number): boolean => (boxes[count]?.top ?? Infinity) >= bottom;

/** The boxes from `first` up to, not including, `end` that touch the span from `top` to `bottom`. Boxes lie in rows. */
export function touching(boxes: { top: number; height: number }[], top: number, bottom: number): { first: number; end: number } {
  const firstWhere = (test: (box: { top: number; height: number }) => boolean) => {
    let low = 0;
    let high = boxes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(boxes[middle]!)) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return { first: firstWhere((box) => box.top + box.height > top), end: firstWhere((box) => box.top >= bottom) };
}
