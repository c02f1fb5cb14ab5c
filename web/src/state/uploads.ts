/** The one queue of uploads, and files that wait for a sign-in or for the server. */

import { signal } from '@preact/signals';
import { api, wordsOf } from '../api/index.js';
import { backoffMs } from '../../../clients/js/src/shared/index.js';
import { uuid7 } from '../../../clients/js/src/shared/uuid.js';
import { sha256Of } from '../lib/hash.js';
import { KeptUploads } from '../lib/kept.js';
import { soon } from '../lib/soon.js';
import { adopts, adoptsLater, thisTab } from '../lib/tab.js';
import { UNFINISHED_MAX, Uploads, type Upload, type UploadClient } from '../lib/upload.js';
import { words } from '../words/index.js';
import { isLive, onNews } from './live.js';
import { createProject, gallery, keepGallery, openProject, project, whenLoaded } from './project.js';
import { projectId } from './route.js';
import { session, sessionProblem } from './session.js';

/** The interval of asking for states that no live connection will tell, and the most files of one round. */
const POLL_MS = 5000;
const POLL_FILES = 20;

const client = {
  imageLinks: (body: never, key: string) => api.post('/images/batch', { body, headers: { 'Idempotency-Key': key } }),
  completeImage: (id: string) => api.post('/images/{image_id}/complete', { path: { image_id: id } }),
  partLinks: (image_id: string, numbers: number[]) => api.post('/images/{image_id}/parts', { path: { image_id }, body: { numbers } }),
  image: (id: string) => api.get('/images/{image_id}', { path: { image_id: id } }),
  putImage: (gallery_id: string, image_id: string) => api.put('/galleries/{gallery_id}/images/{image_id}', { path: { gallery_id, image_id } }),
} as unknown as UploadClient;

export const uploads = new Uploads(client, { hash: sha256Of });
/** The queue's items, renewed at most once a frame. */
export const uploadItems = signal<Upload[]>([]);
/** A sentence about files that could not be taken, or wait. */
export const uploadNote = signal<string | null>(null);

let frame: number | null = null;
uploads.addEventListener('changed', () => {
  frame ??= requestAnimationFrame(() => {
    frame = null;
    uploadItems.value = uploads.items.map((item) => ({ ...item }));
    void kept?.keep(() => uploads.items.filter(goesOn));
  });
});

/** True of uploads that continue after a reload: unfinished ones, and those that wait for their files. */
const goesOn = ({ state, isMissing }: Upload) => isMissing || (state !== 'done' && state !== 'error');

/** The stored queue, once the one of an earlier load has been taken over. */
let kept: KeptUploads | null = null;
let taking: Promise<void> | null = null;

function takeOver(): Promise<void> {
  taking ??= (async () => {
    const tab = await thisTab(uuid7);
    const stored = new KeptUploads(tab);
    const others = await stored.takeOver((other) => adopts(other, tab), (found) => uploads.restore(found));
    kept = stored;
    for (const other of others) void inherit(stored, other).catch(() => {});
    // Without storage nothing goes on.
  })().catch(() => {});
  return taking;
}

/** Goes on with the uploads of another tab once it is gone. Of a tab that finished them, none is left. */
async function inherit(stored: KeptUploads, other: string): Promise<void> {
  await adoptsLater(other);
  if (session.value !== 'in') return;
  await stored.takeOver(async (tab) => tab === other, (found) => uploads.restore(found));
}

/** Files chosen before sign-in or while the server is away. */
let held: File[] = [];
let holdTimer: ReturnType<typeof setTimeout> | undefined;
let holdAttempts = 0;

/** Takes chosen or dropped files into the open gallery; the first ever make their project and gallery. */
export async function take(chosen: File[]): Promise<void> {
  const all = [...held, ...chosen];
  const files = all.slice(0, UNFINISHED_MAX);
  const leftOut = all.length - files.length;
  if (files.length === 0) return;
  clearTimeout(holdTimer);
  held = files;
  if (session.value !== 'in') {
    uploadNote.value = words.upload.heldForSignIn(files.length);
    return;
  }
  held = [];
  try {
    const place = await makePlace();
    uploads.limits = await api.get('/limits', { query: { project_id: place.projectId } });
    holdAttempts = 0;
    const dropped = uploads.add(files, place) + leftOut;
    uploadNote.value = dropped ? words.upload.leftOut(dropped, UNFINISHED_MAX) : null;
  } catch (caught) {
    const error = caught as { temporary?: boolean; retryAfterMs?: number | null };
    uploadNote.value = wordsOf(caught);
    if (!error.temporary) return;
    held = [...files, ...held].slice(0, UNFINISHED_MAX);
    uploadNote.value = words.upload.heldForServer(held.length);
    holdTimer = setTimeout(() => void take([]), Math.max(backoffMs(holdAttempts++), error.retryAfterMs ?? 0));
  }
}

let making: Promise<{ projectId: string; galleryId: string }> | null = null;

function makePlace(): Promise<{ projectId: string; galleryId: string }> {
  making ??= place().finally(() => (making = null));
  return making;
}

async function place(): Promise<{ projectId: string; galleryId: string }> {
  await whenLoaded();
  const into = project.value ?? (await createProject(words.project.firstName));
  if (into !== project.value) openProject(into.project_id, { replace: true });
  await whenLoaded();
  if (gallery.value?.project_id === into.project_id) return { projectId: into.project_id, galleryId: gallery.value.gallery_id };
  const made = await api.post('/galleries', { body: { project_id: into.project_id, name: words.gallery.firstName } });
  keepGallery(made);
  return { projectId: into.project_id, galleryId: made.gallery_id };
}

/** Asks after uploads whose news does not come: the connection is down, or another project is open. */
async function poll(): Promise<void> {
  const unheard = (item: Upload) => !isLive.value || item.projectId !== projectId.value;
  if (session.value === 'in') await uploads.reconcile({ only: unheard, max: POLL_FILES });
  setTimeout(() => void poll(), POLL_MS);
}

export function startUploads(): void {
  onNews((message) => uploads.news(message), () => {
    uploads.resume();
    void uploads.reconcile();
  });
  let wasIn = false;
  session.subscribe((now) => {
    if (now === 'in') soon(() => void takeOver().then(() => take([])));
    // A session that ended by itself leaves the list, to go on with after signing in again.
    else if (wasIn && sessionProblem.value) uploads.stop();
    else if (wasIn) uploads.clear();
    wasIn = now === 'in';
  });
  addEventListener('online', () => {
    uploads.resume();
    void take([]);
  });
  addEventListener('beforeunload', (event) => {
    const isLost = ({ id, state }: Upload) => (state === 'waiting' || state === 'init') && !kept?.has(id);
    if (held.length || uploads.unfinished.some(isLost)) event.preventDefault();
  });
  void poll();
}
