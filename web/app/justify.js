/** Justified rows: every row as wide as the grid, its tiles equally high, their order untouched. Pure. */

/** The browser lays out in steps of a 64th of a pixel; rounding up would push the last tile into the next row. */
const floor = (px) => Math.floor(px * 64) / 64;

const sum = (list) => list.reduce((total, value) => total + value, 0);

/** How far a height is from the one aimed at; twice as high is as bad as half as high. */
const miss = (height, target) => Math.abs(Math.log(height / target));

/**
 * Sizes for tiles of these aspects (width by height) in a grid `width` wide with rows about `row` high and `gap`
 * between tiles, all in pixels: `[{width, height}]`. A row takes in the next tile as long as that brings its height
 * closer to `row`. The last row is not stretched, since more tiles may come.
 */
export function justify(aspects, { width, row, gap }) {
  const sizes = [];
  let line = [];
  const heightOf = (tiles) => (width - gap * (tiles.length - 1)) / sum(tiles);
  const close = (height) => {
    for (const aspect of line) sizes.push({ width: floor(height * aspect), height: floor(height) });
    line = [];
  };
  for (const aspect of aspects) {
    const wider = [...line, aspect];
    if (line.length && miss(heightOf(wider), row) > miss(heightOf(line), row)) close(heightOf(line));
    line.push(aspect);
  }
  if (line.length) close(Math.min(row, heightOf(line)));
  return sizes;
}
