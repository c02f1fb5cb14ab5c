/** FLIP: tiles glide from where they were to where they are now. */

import { moves } from '../dist/shared.js';

/** The layout of `elements` (a Map from id to element) in coordinates of the page. */
export function measure(elements) {
  const layout = new Map();
  for (const [id, element] of elements) {
    const { left, top, width, height } = element.getBoundingClientRect();
    layout.set(id, { left: left + scrollX, top: top + scrollY, width, height });
  }
  return layout;
}

/**
 * Runs `change`, which may reorder or resize the elements, and lets them glide to their new places; `elements` is
 * read before and after. Does not animate for people who asked for less motion.
 */
export function glide(elements, change) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return change();
  const before = measure(elements());
  for (const element of elements().values()) element.getAnimations().forEach((animation) => animation.cancel());
  change();
  const now = elements();
  const view = { top: scrollY - innerHeight / 2, bottom: scrollY + innerHeight * 1.5 };
  for (const { id, dx, dy, sx, sy } of moves(before, measure(now), view)) {
    const from = { transformOrigin: '0 0', transform: `translate(${dx}px, ${dy}px) scale(${sx}, ${sy})` };
    const to = { transformOrigin: '0 0', transform: 'none' };
    now.get(id).animate([from, to], { duration: 450, easing: 'cubic-bezier(.2, .7, .2, 1)' });
  }
}
