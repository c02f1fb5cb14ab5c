/** One request to the server, and the two errors that it can end with. */

import { retryAfterMs } from '../../../clients/js/src/shared/index.js';

const BASE = '/api/v1';

interface Problem {
  title?: string;
  detail?: string;
  errors?: Record<string, string | string[]>;
}

/** One entry of `errors` as a text. An error of the whole body has the empty name. */
export const fieldWords = ([name, sentences]: [string, string | string[]]): string =>
  (name ? `${name}: ` : '') + [sentences].flat().join(' ');

/** The server refused. `message` is a sentence for people, `errors` maps a field to its sentences. */
export class ApiError extends Error {
  readonly errors: Record<string, string | string[]>;
  /** True if another attempt can help. */
  readonly temporary: boolean;

  constructor(readonly status: number, problem: Problem, readonly retryAfterMs: number | null) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.errors = problem.errors ?? {};
    this.temporary = [429, 502, 503, 504].includes(status);
  }

  /** Message and field errors in one text, for places that have no fields. */
  get words(): string {
    return [this.message, ...Object.entries(this.errors).map(fieldWords)].join(' ');
  }
}

/** No answer: the server or the network is away. */
export class NetworkError extends Error {
  readonly temporary = true;
  readonly retryAfterMs = null;

  constructor() {
    super('The server cannot be reached. It may be restarting.');
  }

  get words(): string {
    return this.message;
  }
}

/** The sentence to show for any error. */
export const wordsOf = (error: unknown): string => {
  if (error instanceof ApiError || error instanceof NetworkError) return error.words;
  return error instanceof Error ? error.message : String(error);
};

/** Makes an ApiError from a failed answer, also from one that is no problem document. */
export function apiError(status: number, text: string, retryAfter?: string | null): ApiError {
  let problem: Problem = {};
  try {
    problem = JSON.parse(text) ?? {};
  } catch {
    // A proxy's error page: only the status is known.
  }
  return new ApiError(status, problem, retryAfterMs(retryAfter));
}

/** Says `signed-out` when the server no longer knows the session, `answered` and `away` when it is reached or not. */
export const serverNews = new EventTarget();

export interface RequestOptions {
  body?: unknown;
  /** Sent as it is, in place of `body`. */
  file?: Blob;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  cache?: RequestCache;
  credentials?: RequestCredentials;
  keepalive?: boolean;
}

/** Sends one request; gives what `read` takes from a good answer. */
async function exchange<T>(method: string, path: string, options: RequestOptions, read: (response: Response) => Promise<T>): Promise<T> {
  const { body, file, headers = {}, ...rest } = options;
  const all: Record<string, string> = { Accept: 'application/json', ...headers };
  if (body !== undefined) all['Content-Type'] = 'application/json';
  let response: Response;
  let answer: T | string;
  try {
    response = await fetch(BASE + path, { method, headers: all, body: file ?? (body === undefined ? null : JSON.stringify(body)), ...rest });
    answer = await (response.ok ? read(response) : response.text());
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    serverNews.dispatchEvent(new Event('away'));
    throw new NetworkError();
  }
  serverNews.dispatchEvent(new Event('answered'));
  if (response.status === 401 && path !== '/session' && rest.credentials !== 'omit') {
    serverNews.dispatchEvent(new Event('signed-out'));
  }
  if (!response.ok) throw apiError(response.status, answer as string, response.headers.get('Retry-After'));
  return answer as T;
}

/** Sends a file as it is; gives the JSON of the answer. */
export async function requestText<T>(method: string, path: string, file: Blob, type: string): Promise<T> {
  const text = await exchange(method, path, { file, headers: { 'Content-Type': type } }, (response) => response.text());
  return JSON.parse(text, reviver) as T;
}

/** Sends one request; gives its JSON, and null for an empty answer. */
export async function request(method: string, path: string, options: RequestOptions = {}): Promise<unknown> {
  const text = await exchange(method, path, options, (response) => response.text());
  return text ? JSON.parse(text, reviver) : null;
}

/** Sends one request; gives the answer as a file of this media type. */
export const requestFile = (method: string, path: string, mediaType: string, options: RequestOptions = {}): Promise<Blob> =>
  exchange(method, path, { ...options, headers: { Accept: mediaType } }, (response) => response.blob());

/** The server's readiness. The answer is the same document if it is not ready. */
export async function readiness<T>(): Promise<T> {
  try {
    return (await (await fetch('/readyz')).json()) as T;
  } catch {
    throw new NetworkError();
  }
}

/** The server's metrics, in the text format of Prometheus. */
export async function metricsText(): Promise<string> {
  let answer: Response;
  try {
    answer = await fetch('/metrics');
  } catch {
    throw new NetworkError();
  }
  const text = await answer.text();
  if (!answer.ok) throw apiError(answer.status, text);
  return text;
}

type Reviver = (key: string, value: unknown) => unknown;

/**
 * Replaces the server's public URL at the start of an address by `here`, the origin that the page was opened at. A
 * `srcset` holds several addresses.
 */
export const atOrigin = (publicUrl: string, here: string): Reviver => (key, value) => {
  if (typeof value !== 'string' || !value.includes(publicUrl)) return value;
  const addresses = key.startsWith('srcset') ? value.split(', ') : [value];
  const moved = addresses.map((each) => (each.startsWith(`${publicUrl}/`) ? here + each.slice(publicUrl.length) : each));
  return moved.join(', ');
};

/** The reviver of `JSON.parse`; set by [`openedAt`] if the page is not at the public URL. */
let reviver: Reviver | undefined;

/** Sets the server's public URL and the page's origin; true if they differ. */
export function openedAt(publicUrl: string | undefined, here: string): boolean {
  const differs = Boolean(publicUrl) && publicUrl !== here;
  reviver = differs ? atOrigin(publicUrl!, here) : undefined;
  return differs;
}
