/** The address as a signal. Every state of the application has an address, so that Back works and a link can be sent. */

import { computed, signal } from '@preact/signals';
import { formatRoute, parseRoute, type Route } from '../lib/route.js';

export const route = signal<Route>(parseRoute(location.hash));
addEventListener('popstate', () => (route.value = parseRoute(location.hash)));
addEventListener('hashchange', () => (route.value = parseRoute(location.hash)));

export const page = computed(() => route.value.path[0] ?? 'gallery');
export const projectId = computed(() => route.value.params['project'] ?? null);
export const param = (name: string): string | null => route.value.params[name] ?? null;

/** The address of a page of the open project. */
export function href(path: string[], params: Record<string, string | null | undefined> = {}): string {
  const all = { project: projectId.value, ...params };
  const given = Object.entries(all).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return formatRoute({ path, params: Object.fromEntries(given) });
}

/** Opens an address; with `replace`, without a new entry in the history. */
export function go(hash: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, '', location.pathname + location.search + hash);
  else history.pushState(null, '', hash);
  route.value = parseRoute(hash);
}

/** The present address with some parameters changed; null removes one. */
export const hrefWith = (params: Record<string, string | null>): string =>
  href(route.value.path, { ...route.value.params, ...params });
