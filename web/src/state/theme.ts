/** Dark, light, or as the system says. */

import { effect, signal } from '@preact/signals';

const KEY = 'eyeline.theme';
export type Theme = 'auto' | 'light' | 'dark';

export const theme = signal<Theme>('auto');

export function startTheme(): void {
  try {
    const stored = localStorage.getItem(KEY);
    if (stored === 'light' || stored === 'dark') theme.value = stored;
  } catch {
    // Without storage the system decides.
  }
  effect(() => {
    document.documentElement.dataset['theme'] = theme.value;
    try {
      localStorage.setItem(KEY, theme.value);
    } catch {
      // The choice lasts until the page is left.
    }
  });
}
