/** The live news of the open project, and whether the server is reached. */

import { computed, signal } from '@preact/signals';
import { api } from '../api/index.js';
import { serverNews } from '../api/http.js';
import { soon } from '../lib/soon.js';
import { Stream, type News } from '../lib/stream.js';
import { projectId } from './route.js';
import { session } from './session.js';
import { watch } from './watch.js';

/** A connection that is away for less than this is not told. */
const PATIENCE_MS = 2000;

/** The project whose data is read: none before sign-in. */
export const openId = computed(() => (session.value === 'in' ? projectId.value : null));
export const isLive = signal(false);
/** True while neither requests nor the live connection reach the server. */
export const isAway = signal(false);

/** Events: `news` (detail: the message), and `gap` when what is shown must be read again. */
export const live = new EventTarget();

let stream: Stream | null = null;

const ticket = (id: string) => api.post('/projects/{project_id}/stream-tickets', { path: { project_id: id } });

function listen(id: string): () => void {
  const opened = new Stream(id, ticket);
  stream = opened;
  let timer: ReturnType<typeof setTimeout> | undefined;
  opened.addEventListener('live', (event) => {
    isLive.value = (event as CustomEvent<boolean>).detail;
    clearTimeout(timer);
    if (isLive.value) isAway.value = false;
    else timer = setTimeout(() => (isAway.value = true), PATIENCE_MS);
  });
  opened.addEventListener('news', (event) => live.dispatchEvent(new CustomEvent<News>('news', { detail: (event as CustomEvent<News>).detail })));
  opened.addEventListener('gap', () => live.dispatchEvent(new Event('gap')));
  // Requests for what the page shows go first.
  soon(() => void opened.run());
  return () => {
    clearTimeout(timer);
    opened.close();
    isLive.value = false;
  };
}

serverNews.addEventListener('away', () => (isAway.value = true));
serverNews.addEventListener('answered', () => {
  if (stream?.live !== false) isAway.value = false;
});

/** Follows the open project from now on. */
export function startLive(): void {
  watch(openId, (id) => (id ? listen(id) : undefined));
}

/** Calls `onNews` for each message until the given function is called. */
export function onNews(onMessage: (message: News) => void, onGap: () => void): () => void {
  const news = (event: Event) => onMessage((event as CustomEvent<News>).detail);
  live.addEventListener('news', news);
  live.addEventListener('gap', onGap);
  return () => {
    live.removeEventListener('news', news);
    live.removeEventListener('gap', onGap);
  };
}
