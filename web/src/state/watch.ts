/** Work that begins anew when a signal changes. */

import { effect, untracked, type ReadonlySignal } from '@preact/signals';

/**
 * Runs `act` with the value of `signal`, now and after each change. Other signals that `act` reads never start it again.
 * A function that `act` gives ends its work before the next run.
 */
export function watch<T>(signal: ReadonlySignal<T>, act: (value: T) => void | (() => void)): () => void {
  return effect(() => {
    const { value } = signal;
    return untracked(() => act(value));
  });
}
