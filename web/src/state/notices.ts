/** Short messages at the foot of the page, and changes that can be undone. */

import { signal } from '@preact/signals';
import { wordsOf } from '../api/index.js';

export interface Notice {
  id: number;
  text: string;
  isProblem: boolean;
  action?: { label: string; run: () => void } | undefined;
}

const SHOWN_MS = 8000;
const SHOWN_MAX = 4;

export const notices = signal<Notice[]>([]);
let lastId = 0;

export function notify(text: string, { isProblem = false, action }: Partial<Omit<Notice, 'id' | 'text'>> = {}): number {
  const notice = { id: ++lastId, text, isProblem, action };
  notices.value = [...notices.value.slice(1 - SHOWN_MAX), notice];
  setTimeout(() => dismiss(notice.id), SHOWN_MS);
  return notice.id;
}

export function dismiss(id: number): void {
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

/** Work that waits until it can no longer be undone. */
const waiting = new Map<number, () => void>();

/** Shows `text` with an undo button, and runs `work` once the button is gone. Leaving the page runs it at once. */
export function undoable(text: string, label: string, work: () => void, undo: () => void): void {
  const run = () => {
    if (waiting.delete(id)) work();
  };
  const id = notify(text, {
    action: {
      label,
      run: () => {
        waiting.delete(id);
        undo();
      },
    },
  });
  waiting.set(id, run);
  setTimeout(run, SHOWN_MS);
}

addEventListener('pagehide', () => waiting.forEach((run) => run()));
