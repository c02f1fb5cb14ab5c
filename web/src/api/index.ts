/** The HTTP API, with the types of its description: `api.get('/projects/{project_id}', { path: { project_id } })`. */

import type { components, paths } from '../schema.js';
import { request, type RequestOptions } from './http.js';

export { ApiError, NetworkError, requestFile, requestText, wordsOf } from './http.js';

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type ShortPath = keyof paths extends infer P ? (P extends `/api/v1${infer Short}` ? Short : never) : never;
type Operation<S extends string, M extends Method> = `/api/v1${S}` extends infer P extends keyof paths ? paths[P][M] : never;
/** The paths that know a method. */
type PathOf<M extends Method> = { [S in ShortPath]: [Operation<S, M>] extends [undefined] ? never : S }[ShortPath];

type JsonOf<Answer> = Answer extends { content: { 'application/json': infer Body } } ? Body : null;
type Result<O> = O extends { responses: infer R } ? JsonOf<R[keyof R & (200 | 201 | 202 | 204)]> : never;
type PathInput<O> = O extends { parameters: { path: infer P } } ? { path: P } : object;
type QueryInput<O> = O extends { parameters: { query?: infer Q } } ? { query?: Q | undefined } : object;
type BodyInput<O> = O extends { requestBody?: { content: { 'application/json': infer B } } } ? { body?: B } : object;
type Input<O> = PathInput<O> & QueryInput<O> & BodyInput<O> & Omit<RequestOptions, 'body'>;

interface AnyInput extends RequestOptions {
  path?: Record<string, string>;
  query?: Record<string, unknown>;
}

function call(method: string, path: string, { path: segments, query, ...options }: AnyInput = {}): Promise<unknown> {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(segments?.[name] ?? ''));
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return request(method, given.length ? `${filled}?${search}` : filled, options);
}

const method =
  <M extends Method>(name: M) =>
  <S extends PathOf<M>>(path: S, input?: Input<Operation<S, M>>): Promise<Result<Operation<S, M>>> =>
    call(name.toUpperCase(), path, input as AnyInput) as Promise<Result<Operation<S, M>>>;

export const api = {
  get: method('get'),
  post: method('post'),
  put: method('put'),
  patch: method('patch'),
  delete: method('delete'),
};

export type Schemas = components['schemas'];

/** Reads the pages of a list one after the other, at most `max` of them. */
export async function readAll<Page extends { next_cursor?: string | null }, Entry>(
  read: (cursor: string | undefined) => Promise<Page>,
  entries: (page: Page) => Entry[],
  max = 10,
): Promise<Entry[]> {
  const all: Entry[] = [];
  let cursor: string | undefined;
  for (let count = 0; count < max; count++) {
    const page = await read(cursor);
    all.push(...entries(page));
    if (!page.next_cursor) break;
    cursor = page.next_cursor;
  }
  return all;
}
