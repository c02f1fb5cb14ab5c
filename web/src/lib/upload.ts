/**
 * The queue of uploads, without any DOM: links in batches, a few files at a time, and each file's state until the server
 * says `done` or `error`.
 */

import { backoffMs, withRetry } from '../../../clients/js/src/shared/index.js';
import { uuid7 } from '../../../clients/js/src/shared/uuid.js';
import { words } from '../words/index.js';
import { bytes } from './format.js';
import { PARTS_ABOVE_BYTES, sendParts, type PartLinks } from './send-parts.js';
import { sendFile, type Send, type Sending, type UploadLink } from './send.js';

/** Photos that may be unfinished at one time: the most that the server gives links for in one call. */
export const UNFINISHED_MAX = 500;
/** Links asked for in one call. They live 15 minutes, so a long queue asks again later. */
const LINKS_PER_CALL = 50;
const PARALLEL = 3;
/** A link with less than this left is replaced before use. */
const LINK_MARGIN_MS = 60_000;
/** The longest pause after a request that the server could not answer. */
const REST_MAX_MS = 30_000;

/** Failures that sending the same file again can mend. The other codes speak of the file itself. */
const MENDABLE = new Set(['never_arrived', 'not_as_stated', 'processing_failed', 'worker_died']);

/** True if another attempt can help a failed image. */
export const isMendable = (code: string | null | undefined): boolean => MENDABLE.has(code ?? '');

export type UploadState = 'waiting' | 'init' | 'uploaded' | 'processing' | 'done' | 'error';

/** A later state is never replaced by an earlier one that arrives late. */
const RANK: Record<string, number> = { waiting: 0, init: 1, uploaded: 2, processing: 3, done: 4, error: 4 };

/** True when `next` is news for an upload in state `current`. */
export const advances = (current: string, next: string): boolean => next in RANK && RANK[next]! > RANK[current]!;

export interface UploadPlace {
  projectId: string;
  galleryId: string;
}

export interface Upload extends UploadPlace {
  id: string;
  name: string;
  size: number;
  sent: number;
  state: UploadState;
  file: File | null;
  imageId: string | null;
  link: UploadLink | null;
  /** The sentence to show. */
  problem: string | null;
  /** True if no other attempt can help. */
  hopeless: boolean;
  /** The project had the same file already. */
  isDuplicate?: boolean;
  /** The page was loaded again and has the file no more: it has to be chosen again, or `handle` to be allowed. */
  isMissing?: boolean;
  handle?: FileHandle | null;
}

/** The browser's handle of a dropped file: it opens the file again, once that is allowed. */
export interface FileHandle {
  getFile(): Promise<File>;
  queryPermission?(of: { mode: 'read' }): Promise<string>;
  requestPermission?(of: { mode: 'read' }): Promise<string>;
}

export interface UploadLimits {
  max_file_bytes?: number | null;
}

/** The reason why a file cannot be taken, in a sentence, before any byte moves; null if it can. */
export function refusal(file: Pick<File, 'size' | 'type'>, limits: UploadLimits): string | null {
  if (file.size === 0) return words.upload.empty;
  if (limits.max_file_bytes && file.size > limits.max_file_bytes) {
    return words.upload.tooLarge(bytes(file.size), bytes(limits.max_file_bytes));
  }
  // Browsers and systems name image types in many ways; only the bytes decide, at the server.
  const mayBeImage = !file.type || file.type.startsWith('image/') || file.type === 'application/octet-stream';
  return mayBeImage ? null : words.upload.wrongType(file.type);
}

interface Verdict extends UploadLink {
  verdict?: string;
  duplicate_of?: string | null;
  detail?: string | null;
  errors?: Record<string, string[]> | null;
}

/** The calls of the API that the queue needs. */
export interface UploadClient {
  imageLinks(body: object, key: string): Promise<{ images: Verdict[] }>;
  completeImage(id: string): Promise<unknown>;
  partLinks(id: string, numbers: number[]): Promise<PartLinks>;
  image(id: string): Promise<{ state: string; error?: string | null; error_code?: string | null }>;
  putImage(galleryId: string, imageId: string): Promise<unknown>;
}

/** The hexadecimal SHA-256 of a file; null where the browser computes none. */
export type Hash = (file: File) => Promise<string | null>;

interface Failure {
  status?: number;
  words?: string;
  message: string;
  temporary?: boolean;
  retryAfterMs?: number | null;
}

/** Event: `changed`, after any change of the list. While the server is away the queue keeps its files and tries again. */
export class Uploads extends EventTarget {
  limits: UploadLimits;
  #client: UploadClient;
  #send: Send;
  #hash: Hash;
  #items = new Map<string, Upload>();
  #byImage = new Map<string | null, Upload>();
  #active = 0;
  #asking: Promise<void> | null = null;
  #stops = new Map<string, AbortController>();
  #rest: ReturnType<typeof setTimeout> | null = null;
  #restMs: (count: number) => number;
  #rests = 0;

  /** `restMs(count)`: how long the queue rests after the `count`-th failure in a row. */
  constructor(client: UploadClient, { limits = {}, send = sendFile, hash = async () => null, restMs }: { limits?: UploadLimits; send?: Send; hash?: Hash; restMs?: (count: number) => number } = {}) {
    super();
    this.limits = limits;
    this.#client = client;
    this.#send = send;
    this.#hash = hash;
    this.#restMs = restMs ?? ((count) => backoffMs(count, { maxMs: REST_MAX_MS }));
  }

  get items(): Upload[] {
    return [...this.#items.values()];
  }

  /** Uploads whose bytes are still here or whose end is not known. */
  get unfinished(): Upload[] {
    return this.items.filter((item) => RANK[item.state]! < RANK['done']!);
  }

  /** Takes files for a gallery; gives the number left out because the queue is full. A file that is missing goes on. */
  add(chosen: File[], { projectId, galleryId }: UploadPlace): number {
    const files = chosen.filter((file) => !this.#found(file));
    const room = Math.max(0, UNFINISHED_MAX - this.unfinished.length);
    for (const file of files.slice(0, room)) {
      const problem = refusal(file, this.limits);
      const item: Upload = {
        id: uuid7(), file, name: file.name, size: file.size, projectId, galleryId, sent: 0,
        state: problem ? 'error' : 'waiting', problem, hopeless: problem !== null, imageId: null, link: null,
      };
      this.#items.set(item.id, item);
    }
    this.#changed();
    this.#pump();
    return Math.max(0, files.length - room);
  }

  /** Gives a missing file to its item; false if none misses it. */
  #found(file: File): boolean {
    const item = this.items.find(({ isMissing, name, size }) => isMissing && name === file.name && size === file.size);
    if (item) this.#goOn(item, file);
    return item !== undefined;
  }

  #goOn(item: Upload, file: File): void {
    Object.assign(item, { file, isMissing: false, handle: null, state: 'waiting', problem: null });
    this.#changed();
    this.#pump();
  }

  /** Asks the person for the files that can be opened again, and goes on with them. Must be called within a click. */
  async openMissing(): Promise<void> {
    for (const item of this.items.filter(({ isMissing, handle }) => isMissing && handle)) {
      const { handle } = item;
      const allowed = (await handle!.requestPermission?.({ mode: 'read' })) ?? 'granted';
      const file = allowed === 'granted' ? await handle!.getFile().catch(() => null) : null;
      if (file) this.#goOn(item, file);
      else Object.assign(item, { handle: null, problem: words.upload.missing });
    }
    this.#changed();
  }

  /** Goes on with items of an earlier load of the page. Images that were sent then are not sent again. */
  async restore(items: Upload[]): Promise<void> {
    for (const item of items) this.#items.set(item.id, item);
    this.#changed();
    for (const item of items) await this.#restore(item);
    this.#changed();
    this.#pump();
  }

  async #restore(item: Upload): Promise<void> {
    const isSending = item.state === 'waiting' || item.state === 'init';
    // Nothing is sent before the server has told what it has.
    if (isSending) item.state = 'error';
    if (item.imageId) {
      const image = await withRetry(() => this.#client.image(item.imageId!)).catch((error: Failure) => error);
      const state = 'state' in image ? (image.state as UploadState) : null;
      const hasEnded = 'error_code' in image && image.error_code === 'never_arrived' && isSending;
      this.#byImage.set(item.imageId, item);
      if (state && state !== 'init' && !hasEnded) {
        item.state = 'init';
        return this.#advance(item, state, image as { error?: string });
      }
      const isGone = hasEnded || (!state && (image as Failure).status === 404);
      if (isGone) {
        this.#byImage.delete(item.imageId);
        Object.assign(item, { imageId: null, link: null });
      }
    }
    if (!isSending) return;
    if (item.file) Object.assign(item, { state: 'waiting', sent: 0 });
    else Object.assign(item, { isMissing: true, problem: item.handle ? words.upload.toAllow : words.upload.missing });
  }

  /** Sends a failed file again, as a new image. */
  retry(item: Upload): void {
    if (item.state !== 'error' || item.hopeless || !item.file) return;
    this.#byImage.delete(item.imageId);
    Object.assign(item, { sent: 0, state: 'waiting', problem: null, imageId: null, link: null });
    this.#changed();
    this.#pump();
  }

  /** Stops everything that is not wholly sent; what was sent goes on at the server. */
  stop(): void {
    for (const item of this.unfinished) {
      if (item.state === 'waiting' || item.state === 'init') this.#fail(item, words.upload.stopped);
    }
    for (const controller of this.#stops.values()) controller.abort(new Error(words.upload.stopped));
  }

  /** Forgets the items in this state; without one, at sign-out, everything. */
  clear(state?: 'done' | 'error'): void {
    if (!state) this.stop();
    for (const item of this.items) {
      if (state && item.state !== state) continue;
      this.#items.delete(item.id);
      this.#byImage.delete(item.imageId);
    }
    this.#changed();
  }

  /** Takes a message of the project's stream. The image itself tells why it failed and whether it was deleted. */
  news(message: { type: string; image_id?: string; state?: string }): void {
    const item = message.type === 'image.state' && this.#byImage.get(message.image_id!);
    if (!item) return;
    if (message.state === 'error' || !message.state) void this.#read(item);
    else this.#advance(item, message.state as UploadState);
  }

  /** Reads the state of at most `max` sent files, for times when news of them may not come. */
  async reconcile({ only = () => true, max = UNFINISHED_MAX }: { only?: (item: Upload) => boolean; max?: number } = {}): Promise<void> {
    const sent = this.unfinished.filter((item) => RANK[item.state]! >= RANK['uploaded']! && only(item));
    for (const item of sent.slice(0, max)) await this.#read(item);
  }

  async #read(item: Upload): Promise<void> {
    try {
      const image = await withRetry(() => this.#client.image(item.imageId!));
      this.#advance(item, image.state as UploadState, image);
    } catch (error) {
      if ((error as Failure).status === 404) this.#fail(item, words.upload.deleted, true);
    }
  }

  #advance(item: Upload, state: UploadState, image?: { error?: string | null; error_code?: string | null }): void {
    // The server says `init` of every link. Only the queue knows which files are being sent.
    if (state === 'init' || !advances(item.state, state)) return;
    if (state === 'error') return this.#fail(item, image?.error ?? words.upload.failed, !isMendable(image?.error_code));
    item.state = state;
    if (state === 'done') item.file = null;
    this.#changed();
  }

  #fail(item: Upload, problem: string, hopeless = false): void {
    Object.assign(item, { state: 'error', problem, hopeless });
    this.#changed();
  }

  /** Ends a rest of the queue: the server answers again, or may. */
  resume(): void {
    if (this.#rest) clearTimeout(this.#rest);
    this.#rest = null;
    this.#pump();
  }

  /** Puts a file back in the queue, which rests until the server may answer again. */
  #postpone(item: Upload, error: Failure): void {
    Object.assign(item, { sent: 0, state: 'waiting', problem: error.words });
    this.#changed();
    this.#rest ??= setTimeout(() => this.resume(), Math.max(this.#restMs(this.#rests++), error.retryAfterMs ?? 0));
  }

  #pump(): void {
    while (this.#active < PARALLEL && this.#rest === null) {
      const item = this.items.find((each) => each.state === 'waiting' && !this.#stops.has(each.id));
      if (!item) return;
      this.#active++;
      void this.#upload(item).finally(() => {
        this.#active--;
        this.#pump();
      });
    }
  }

  async #upload(item: Upload): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    this.#stops.set(item.id, controller);
    try {
      await this.#link(item, signal);
      if (item.state !== 'waiting') return;
      Object.assign(item, { state: 'init', problem: null });
      this.#changed();
      await this.#sendAll(item, { signal, onProgress: (sent) => this.#sent(item, sent) });
      this.#sent(item, item.size);
      await this.#client.completeImage(item.imageId!);
      this.#rests = 0;
      this.#advance(item, 'uploaded');
    } catch (caught) {
      const error = caught as Failure;
      // The sweep may have found the file, and the news of it come, before a lost call has failed.
      if (!advances(item.state, 'uploaded')) return;
      if (error.temporary && !signal.aborted) this.#postpone(item, error);
      else this.#fail(item, error.words ?? error.message);
    } finally {
      this.#stops.delete(item.id);
    }
  }

  async #sendAll(item: Upload, sending: Sending): Promise<void> {
    const { file, link, imageId } = item;
    if (!isInParts(link)) return this.#send(file!, link!, sending);
    try {
      await sendParts(file!, (numbers) => withRetry(() => this.#client.partLinks(imageId!, numbers)), this.#send, sending);
    } catch (error) {
      // The image waits for no parts: the call that completes it says whether its file has arrived.
      if ((error as Failure).status !== 409) throw error;
    }
  }

  #sent(item: Upload, sent: number): void {
    item.sent = Math.min(sent, item.size);
    this.#changed();
  }

  /** Waits until the item has a link or a verdict against it. One call for links runs at a time. */
  async #link(item: Upload, signal: AbortSignal): Promise<void> {
    // Links to parts are asked for when they are needed.
    const isFresh = () => isInParts(item.link) || Date.parse(item.link?.expires_at ?? '') - Date.now() > LINK_MARGIN_MS;
    while (item.state === 'waiting' && !isFresh()) {
      signal.throwIfAborted();
      this.#asking ??= this.#askLinks(item).finally(() => (this.#asking = null));
      await this.#asking;
    }
  }

  async #askLinks(first: Upload): Promise<void> {
    const following = this.items.filter(
      (item) => item.state === 'waiting' && !item.link && item !== first && item.projectId === first.projectId
        && item.galleryId === first.galleryId,
    );
    const batch = [first, ...following].slice(0, LINKS_PER_CALL);
    const files: object[] = [];
    for (const { name, size, file } of batch) {
      // Without the hash the server cannot tell that it has the file.
      const sha256 = file && (await this.#hash(file).catch(() => null));
      const multipart = size > PARTS_ABOVE_BYTES;
      files.push({
        filename: name, size, ...(file?.type && { content_type: file.type }), ...(sha256 && { sha256 }), ...(multipart && { multipart }),
      });
    }
    const body = { project_id: first.projectId, gallery_id: first.galleryId, files };
    const key = uuid7();
    const answer = await withRetry(() => this.#client.imageLinks(body, key), { attempts: 2 });
    await Promise.all(answer.images.map((verdict, index) => this.#verdict(batch[index]!, verdict)));
  }

  async #verdict(item: Upload, verdict: Verdict): Promise<void> {
    if (item.state !== 'waiting') return;
    if (verdict.verdict === 'duplicate' || verdict.verdict === 'repeated') return this.#known(item, verdict);
    if (!verdict.upload_link) return this.#fail(item, verdictWords(verdict), verdict.verdict !== 'over_quota');
    this.#byImage.delete(item.imageId);
    item.link = verdict;
    item.imageId = verdict.image_id!;
    this.#byImage.set(item.imageId, item);
  }

  /** The project has this very file: the image it has is put into the gallery. */
  async #known(item: Upload, { verdict, duplicate_of }: Verdict): Promise<void> {
    if (verdict === 'duplicate') await withRetry(() => this.#client.putImage(item.galleryId, duplicate_of!));
    Object.assign(item, { state: 'done', isDuplicate: true, file: null, sent: item.size });
    this.#changed();
  }

  #changed(): void {
    this.dispatchEvent(new Event('changed'));
  }
}

const isInParts = (link: UploadLink | null): boolean => link?.params?.method === 'PARTS';

/** The reason a batch gives for not taking a file, as one text. */
export function verdictWords(verdict: Verdict): string {
  const fields = Object.values(verdict.errors ?? {}).flat();
  return [verdict.detail, ...fields].filter(Boolean).join(' ') || words.upload.refused;
}

/** Counts items by the states that people are told. */
export function tally(items: Pick<Upload, 'state'>[]): { total: number; done: number; failed: number; waiting: number } {
  const count = (...states: UploadState[]) => items.filter(({ state }) => states.includes(state)).length;
  return { total: items.length, done: count('done'), failed: count('error'), waiting: count('waiting') };
}
