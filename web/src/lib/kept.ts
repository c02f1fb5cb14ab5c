/**
 * Unfinished uploads in the browser's IndexedDB, so that they go on after the page was loaded again. Small files are kept
 * whole; of the others the handle is kept, where the browser gave one.
 */

import type { FileHandle, Upload } from './upload.js';

const NAME = 'eyeline.uploads';
/** Bytes of files that are kept whole at one time. */
export const KEPT_BYTES_MAX = 256_000_000;
/** Uploads that nobody went on with are forgotten after this long. */
const KEPT_MS = 7 * 86_400_000;

interface Kept {
  id: string;
  /** The tab that sends it. */
  tab: string;
  at: number;
  upload: Upload;
}

/** Handles of dropped files. */
export const handles = new WeakMap<File, FileHandle>();

const done = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new Error('The transaction was aborted.'));
  });

const answerOf = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore('uploads', { keyPath: 'id' });
    request.result.createObjectStore('files');
  };
  return answerOf(request);
}

export class KeptUploads {
  #tab: string;
  #database = open();
  /** The stored part of each upload: its state, and the bytes of its file. */
  #known = new Map<string, { state: string; bytes: number }>();
  #turn: Promise<unknown> = this.#database.catch(() => {});

  constructor(tab: string) {
    this.#tab = tab;
  }

  /** True if the upload and its file, or a handle, are stored. */
  has(id: string): boolean {
    return (this.#known.get(id)?.bytes ?? -1) >= 0;
  }

  /** Stores what changed of these, and forgets all others of this tab. The list is read when its turn comes. */
  keep(unfinished: () => Upload[]): Promise<void> {
    const next = this.#turn.then(() => this.#write(unfinished));
    // Without storage the queue lasts until the page is left.
    this.#turn = next.catch(() => {});
    return this.#turn as Promise<void>;
  }

  async #write(list: () => Upload[]): Promise<void> {
    const database = await this.#database;
    const unfinished = list();
    const ids = new Set(unfinished.map(({ id }) => id));
    const gone = [...this.#known.keys()].filter((id) => !ids.has(id));
    const changed = unfinished.filter((upload) => this.#known.get(upload.id)?.state !== stateOf(upload));
    if (gone.length + changed.length === 0) return;
    const transaction = database.transaction(['uploads', 'files'], 'readwrite');
    const [uploads, files] = [transaction.objectStore('uploads'), transaction.objectStore('files')];
    for (const id of gone) {
      uploads.delete(id);
      files.delete(id);
      this.#known.delete(id);
    }
    for (const upload of changed) {
      let bytes = this.#known.get(upload.id)?.bytes ?? -1;
      if (bytes < 0 && upload.file) bytes = this.#file(files, upload);
      this.#known.set(upload.id, { state: stateOf(upload), bytes });
      uploads.put({ id: upload.id, tab: this.#tab, at: Date.now(), upload: { ...upload, file: null, handle: null } } satisfies Kept);
    }
    await done(transaction);
  }

  /** Stores the file or its handle; gives the bytes that it takes, -1 if neither can be kept. */
  #file(files: IDBObjectStore, { id, file, size }: Upload): number {
    const taken = [...this.#known.values()].reduce((sum, { bytes }) => sum + Math.max(0, bytes), 0);
    const handle = handles.get(file!);
    if (taken + size <= KEPT_BYTES_MAX) files.put(file, id);
    else if (handle) files.put(handle, id);
    else return -1;
    return taken + size <= KEPT_BYTES_MAX ? size : 0;
  }

  /**
   * Gives the uploads of the tabs that `isMine` claims to `restore`, with their files as far as they can be opened. Returns
   * the other tabs that have some.
   */
  async takeOver(isMine: (tab: string) => Promise<boolean>, restore: (found: Upload[]) => Promise<void>): Promise<string[]> {
    const database = await this.#database;
    const all = (await answerOf(database.transaction('uploads').objectStore('uploads').getAll())) as Kept[];
    const mine = new Map<string, boolean>();
    for (const { tab } of all) if (!mine.has(tab)) mine.set(tab, await isMine(tab));
    const found: Upload[] = [];
    const known: [id: string, bytes: number][] = [];
    for (const { id, tab, at, upload } of all) {
      if (!mine.get(tab)) continue;
      const file = (await answerOf(database.transaction('files').objectStore('files').get(id))) as File | FileHandle | undefined;
      const isOld = Date.now() - at > KEPT_MS;
      if (!isOld) found.push({ ...upload, ...(await opened(file)) });
      known.push([id, isOld ? -1 : file instanceof Blob ? upload.size : file ? 0 : -1]);
    }
    // The queue has the uploads before they are known here, because the next `keep` forgets known ones that it lacks.
    const restored = restore(found);
    // The tab of a record changes when it is written next.
    for (const [id, bytes] of known) this.#known.set(id, { state: '', bytes });
    await restored;
    return [...mine.keys()].filter((tab) => !mine.get(tab));
  }
}

const stateOf = ({ state, imageId, link, problem, isMissing }: Upload): string => JSON.stringify([state, imageId, link?.expires_at, problem, isMissing]);

/** A stored file. One behind a handle is opened if that is still allowed. */
async function opened(kept: File | FileHandle | undefined): Promise<{ file: File | null; handle: FileHandle | null }> {
  if (!kept || kept instanceof Blob) return { file: (kept as File | undefined) ?? null, handle: null };
  const isAllowed = (await kept.queryPermission?.({ mode: 'read' })) === 'granted';
  const file = isAllowed ? await kept.getFile().catch(() => null) : null;
  return { file, handle: file ? null : kept };
}
