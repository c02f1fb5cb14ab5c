/** Helpers for pictures in a grid. */

/** Very long and very tall photos are cropped to these in the grid, never in the large view. */
const ASPECT_MIN = 0.5;
const ASPECT_MAX = 3;

interface Size {
  width?: number | null;
  height?: number | null;
}

/** Width by height for a tile, within bounds; square when the size is unknown. */
export function aspectOf({ width, height }: Size): number {
  if (!width || !height) return 1;
  return Math.min(ASPECT_MAX, Math.max(ASPECT_MIN, width / height));
}

/** The address without its query: signed links to the same bytes differ in nothing else. */
export const withoutQuery = (text: string | null | undefined): string => (text ?? '').replace(/\?[^\s]*/g, '');

/** The index that an arrow key leads to, in rows of boxes; null for other keys. */
export function stepTo(key: string, index: number, boxes: { left: number; top: number; width: number }[]): number | null {
  if (key === 'ArrowRight') return Math.min(boxes.length - 1, index + 1);
  if (key === 'ArrowLeft') return Math.max(0, index - 1);
  if (key === 'Home') return 0;
  if (key === 'End') return boxes.length - 1;
  if (key !== 'ArrowUp' && key !== 'ArrowDown') return null;
  const from = boxes[index]!;
  const by = key === 'ArrowUp' ? -1 : 1;
  const middle = (box: { left: number; width: number }) => box.left + box.width / 2;
  let best = index;
  let row: number | null = null;
  for (let at = index + by; at >= 0 && at < boxes.length; at += by) {
    const box = boxes[at]!;
    if (box.top === from.top) continue;
    if (row === null) [row, best] = [box.top, at];
    if (box.top !== row) break;
    if (Math.abs(middle(box) - middle(from)) < Math.abs(middle(boxes[best]!) - middle(from))) best = at;
  }
  return best;
}

/** The selection after a click on `index`: with `range`, everything from the last one clicked. */
export function select(selected: Set<string>, ids: string[], index: number, last: number | null, range: boolean): Set<string> {
  const next = new Set(selected);
  const id = ids[index]!;
  if (!range || last === null) {
    if (!next.delete(id)) next.add(id);
    return next;
  }
  for (const each of ids.slice(Math.min(last, index), Math.max(last, index) + 1)) next.add(each);
  return next;
}
