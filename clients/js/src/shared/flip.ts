/** FLIP: tiles glide from where they were to where they are now. Pure. */

import type { Box } from './justify.js';

export interface Move<Id> {
  id: Id;
  dx: number;
  dy: number;
  sx: number;
  sy: number;
}

/**
 * Compares two layouts and returns, for every id in both, the transform that shows it at its old place. Leaves out
 * tiles that moved by less than half a pixel, and those outside `view` before and after.
 */
export function moves<Id>(before: Map<Id, Box>, after: Map<Id, Box>, view: { top: number; bottom: number }): Move<Id>[] {
  const inView = (box: Box) => box.top < view.bottom && box.top + box.height > view.top;
  const list: Move<Id>[] = [];
  for (const [id, now] of after) {
    const was = before.get(id);
    if (!was || !(inView(was) || inView(now))) continue;
    const move = {
      id,
      dx: was.left - now.left,
      dy: was.top - now.top,
      sx: now.width ? was.width / now.width : 1,
      sy: now.height ? was.height / now.height : 1,
    };
    const resized = Math.abs(was.width - now.width) >= 0.5 || Math.abs(was.height - now.height) >= 0.5;
    if (Math.abs(move.dx) >= 0.5 || Math.abs(move.dy) >= 0.5 || resized) list.push(move);
  }
  return list;
}
