/** Short messages at the foot of the page, and changes that can be undone. */

import { signal } from '@preact/signals';
import { wordsOf } from '../api/index.js';

export interface Notice {
  id: number;
  text: string;
  isProblem: boolean;
  action?: { label: string; run: () => void } | undefined;
}

/** Reasons to keep a notice on the page: somebody may be about to use its buttons. */
export type Hold = 'pointer' | 'focus';

const SHOWN_MS = 8000;
const SHOWN_MAX = 4;

export const notices = signal<Notice[]>([]);
let lastId = 0;
const timers = new Map<number, ReturnType<typeof setTimeout>>();
const holds = new Map<number, Set<Hold>>();
/** Work that waits until it can no longer be undone: until its notice is gone. */
const waiting = new Map<number, () => void>();

export function notify(text: string, { isProblem = false, action }: Partial<Omit<Notice, 'id' | 'text'>> = {}): number {
  const notice = { id: ++lastId, text, isProblem, action };
  for (const { id } of notices.value.slice(0, 1 - SHOWN_MAX)) dismiss(id);
  notices.value = [...notices.value, notice];
  startTimer(notice.id);
  return notice.id;
}

function startTimer(id: number): void {
  clearTimeout(timers.get(id));
  timers.set(id, setTimeout(() => dismiss(id), SHOWN_MS));
}

/** Stops the time of a notice while `by` holds it, and gives it the whole time again after that. */
export function hold(id: number, by: Hold, isHeld: boolean): void {
  const all = holds.get(id) ?? new Set();
  if (isHeld) all.add(by);
  else all.delete(by);
  holds.set(id, all);
  if (all.size > 0) clearTimeout(timers.get(id));
  else if (timers.has(id)) startTimer(id);
}

/** Takes a notice away. What could be undone is done now. */
export function dismiss(id: number): void {
  const work = waiting.get(id);
  forget(id);
  work?.();
}

/** Takes a notice away and runs its action. */
export function act({ id, action }: Notice): void {
  forget(id);
  action?.run();
}

function forget(id: number): void {
  clearTimeout(timers.get(id));
  for (const map of [timers, holds, waiting]) map.delete(id);
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

/** Runs `work` and shows its error, if it fails. True if it worked. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    notify(wordsOf(error), { isProblem: true });
    return false;
  }
}

/** Shows `text` with an undo button, and runs `work` once the notice is gone. Leaving the page runs it now. */
export function undoable(text: string, label: string, work: () => void, undo: () => void): void {
  waiting.set(notify(text, { action: { label, run: undo } }), work);
}

addEventListener('pagehide', () => waiting.forEach((_, id) => dismiss(id)));
