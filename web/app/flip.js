/** FLIP: tiles glide from where they were to where they are now. The maths is pure; `glide` applies it. */

/**
 * Compares two layouts, each a Map from an id to `{left, top, width, height}`, and gives for every id in both the
 * transform that shows it at its old place: `[{id, dx, dy, sx, sy}]`. What has not moved by half a pixel, and what
 * is outside `view` (`{top, bottom}`) before and after, is left out, since nobody would see it move.
 */
export function moves(before, after, view) {
  const inView = (rect) => rect.top < view.bottom && rect.top + rect.height > view.top;
  const list = [];
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
