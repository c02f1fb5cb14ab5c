/** Justified rows in rank order. Only tiles near the screen are in the document; they glide when the order moves. */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { isWithin, justify, moves, touching, type Box } from '../../../../clients/js/src/shared/index.js';
import { aspectOf, select, stepTo } from '../../lib/pictures.js';
import { Tile } from './tile.js';
import type { Item } from './model.js';

/** Pixels above and below the screen in which tiles are in the document. At first they grow by a step in each task, from the top. */
const MARGIN = 900;
/** The scroll position is looked at in steps of this many pixels. */
const STEP = 300;
/** From this many pixels before the end on, more items are asked for. */
const MORE_WITHIN = 2000;
const NARROW = 700;

interface GridProps {
  label: string;
  items: Item[];
  hasMore: boolean;
  onMore: () => void;
  selected: Set<string>;
  onSelect: (selected: Set<string>) => void;
  hrefOf: (item: Item) => string;
  /** Called with a function that tells whether no tile after the first `count` is on screen. */
  onPlaced: (isWithinFirst: (count: number) => boolean) => void;
}

export function Grid({ label, items, hasMore, onMore, selected, onSelect, hrefOf, onPlaced }: GridProps) {
  const list = useRef<HTMLUListElement>(null);
  const [width, setWidth] = useState(0);
  const [scroll, setScroll] = useState(0);
  const [margin, setMargin] = useState(() => STEP - innerHeight);
  const [focused, setFocused] = useState(0);
  const lastPicked = useRef<number | null>(null);
  const before = useRef(new Map<string, Box>());
  const offset = useRef(0);

  useLayoutEffect(() => {
    const measure = () => {
      offset.current = list.current!.offsetTop;
      setWidth(list.current!.clientWidth);
    };
    const observer = new ResizeObserver(measure);
    // The body grows with whatever comes above the grid.
    for (const element of [list.current!, document.body]) observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    // The offset is a known one: to measure it here would lay the page out twice in a frame.
    const look = () => setScroll(Math.round((scrollY - offset.current) / STEP) * STEP);
    look();
    addEventListener('scroll', look, { passive: true });
    return () => removeEventListener('scroll', look);
  }, []);

  const isNarrow = width < NARROW;
  const boxes = useMemo(
    () => (width ? justify(items.map(aspectOf), { width, row: isNarrow ? 130 : 220, gap: isNarrow ? 4 : 6 }) : []),
    [items, width],
  );
  const last = boxes.at(-1);
  const height = last ? last.top + last.height : 0;
  const { first, end } = touching(boxes, scroll - Math.max(0, margin), scroll + innerHeight + margin);

  // Boxes know the place of every tile. After a jump the document has none of the tiles on screen yet.
  onPlaced((count) => !list.current || isWithin(boxes, count, innerHeight - list.current.getBoundingClientRect().top));

  useEffect(() => {
    if (boxes.length === 0 || margin >= MARGIN) return;
    const timer = setTimeout(() => setMargin(Math.min(MARGIN, margin + STEP)));
    return () => clearTimeout(timer);
  }, [boxes.length === 0, margin]);
  useEffect(() => {
    if (hasMore && scroll + innerHeight + MORE_WITHIN > height) onMore();
  }, [hasMore, scroll, height, items]);

  useLayoutEffect(() => {
    const now = new Map(items.map((item, index) => [item.image_id, boxes[index]!] as const));
    if (boxes.length && before.current.size && !matchMedia('(prefers-reduced-motion: reduce)').matches) glide(list.current!, before.current, now, scroll);
    if (boxes.length || items.length === 0) before.current = now;
  }, [items]);
  // After a change of width the tiles stand at new places without having moved.
  useLayoutEffect(() => {
    before.current = new Map(boxes.map((box, index) => [items[index]!.image_id, box]));
  }, [width]);

  const pick = (index: number, isRange: boolean) => {
    onSelect(select(selected, items.map(({ image_id }) => image_id), index, lastPicked.current, isRange));
    lastPicked.current = index;
  };
  const latestPick = useRef(pick);
  latestPick.current = pick;
  const [onPick] = useState(() => (index: number, isRange: boolean) => latestPick.current(index, isRange));
  const onKeyDown = (event: KeyboardEvent) => {
    const index = Math.min(focused, items.length - 1);
    if (event.key === 'x' || event.key === ' ') {
      event.preventDefault();
      return pick(index, event.shiftKey);
    }
    if (event.key === 'Escape' && selected.size) return onSelect(new Set());
    const to = event.ctrlKey || event.metaKey || event.altKey ? null : stepTo(event.key, index, boxes);
    if (to === null) return;
    event.preventDefault();
    if (event.shiftKey && lastPicked.current === null) lastPicked.current = index;
    if (event.shiftKey) onSelect(select(selected, items.map(({ image_id }) => image_id), to, lastPicked.current, true));
    setFocused(to);
    const box = boxes[to]!;
    const top = list.current!.getBoundingClientRect().top + box.top;
    if (top < 80 || top + box.height > innerHeight) scrollTo({ top: list.current!.offsetTop + box.top - innerHeight / 3 });
    requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(`[data-index="${to}"] > a`)?.focus({ preventScroll: true }));
  };

  // The tile with the focus stays in the document, wherever the page is scrolled to.
  const shown = Array.from({ length: Math.max(0, end - first) }, (_, at) => first + at);
  const tabStop = Math.min(focused, items.length - 1);
  if (tabStop >= 0 && boxes[tabStop] && (tabStop < first || tabStop >= end)) shown.push(tabStop);

  return (
    <ul ref={list} class={selected.size ? 'grid picking' : 'grid'} role="list" aria-label={label} style={{ height: `${height}px` }} onKeyDown={onKeyDown}>
      {shown.map((index) => {
        const item = items[index]!;
        return (
          <Tile
            key={item.image_id} item={item} box={boxes[index]!} index={index} count={items.length} href={hrefOf(item)}
            isTabStop={index === tabStop} isSelected={selected.has(item.image_id)} isEager={index < 8}
            onFocus={setFocused} onPick={onPick}
          />
        );
      })}
    </ul>
  );
}

/** Lets the tiles of `list` glide from where they were. */
function glide(list: HTMLElement, before: Map<string, Box>, now: Map<string, Box>, scroll: number): void {
  const view = { top: scroll - innerHeight / 2, bottom: scroll + innerHeight * 1.5 };
  const elements = new Map([...list.children].map((element) => [(element as HTMLElement).dataset['id']!, element]));
  for (const { id, dx, dy, sx, sy } of moves(before, now, view)) {
    const from = { transformOrigin: '0 0', transform: `translate(${dx}px, ${dy}px) scale(${sx}, ${sy})` };
    elements.get(id)?.animate([from, { transformOrigin: '0 0', transform: 'none' }], { duration: 450, easing: 'cubic-bezier(.2, .7, .2, 1)' });
  }
  for (const [id, element] of elements) if (!before.has(id)) element.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 400 });
}
