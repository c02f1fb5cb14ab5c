/** The HTTP API as this page uses it: one function per request, one error type for everything that goes wrong. */

import { retryAfterMs } from '../dist/shared.js';

const BASE = '/api/v1';

/** Says `signed-out` when the server no longer knows this page's session. */
export const sessionNews = new EventTarget();

/** One entry of `errors` as a text; what concerns the whole body has the empty name. */
export const fieldWords = ([name, sentences]) => (name ? `${name}: ` : '') + [].concat(sentences).join(' ');

/** The server said no. `message` is a sentence for people, `errors` maps a field to its sentences. */
export class ApiError extends Error {
  constructor(status, problem, waitMs) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.errors = problem.errors ?? {};
    this.retryAfterMs = waitMs;
    this.temporary = status === 429 || status === 502 || status === 503 || status === 504;
  }

  /** Message and field errors in one text, for places that have no fields of their own. */
  get words() {
    return [this.message, ...Object.entries(this.errors).map(fieldWords)].join(' ');
  }
}

/** No answer at all: the server is away or the network is. */
export class NetworkError extends Error {
  constructor() {
    super('The server cannot be reached. It may be restarting.');
    this.temporary = true;
  }

  get words() {
    return this.message;
  }
}

/** Makes an ApiError from a failed answer, whether or not its body is problem+json. */
export function apiError(status, text, retryAfter) {
  let problem = {};
  try {
    problem = JSON.parse(text) ?? {};
  } catch {
    // A proxy's error page: the status alone has to do.
  }
  return new ApiError(status, problem, retryAfterMs(retryAfter));
}

/** Sends one request and gives its JSON (null for an empty answer). */
export async function request(method, path, { body, headers = {}, ...options } = {}) {
  const all = { Accept: 'application/json', ...headers };
  if (body !== undefined) all['Content-Type'] = 'application/json';
  let response, text;
  try {
    response = await fetch(BASE + path, {
      method,
      headers: all,
      body: body === undefined ? undefined : JSON.stringify(body),
      ...options,
    });
    text = await response.text();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new NetworkError();
  }
  if (response.status === 401 && path !== '/session' && options.credentials !== 'omit') {
    sessionNews.dispatchEvent(new Event('signed-out'));
  }
  if (!response.ok) throw apiError(response.status, text, response.headers.get('Retry-After'));
  return text ? JSON.parse(text, reviver) : null;
}

/**
 * Replaces the server's public URL at the start of an address by `here`, the origin that this page was opened at. The
 * page works that way at any address of the server, whatever `EYELINE_PUBLIC_URL` says. A `srcset` holds several.
 */
export const atOrigin = (publicUrl, here) => (key, value) => {
  if (typeof value !== 'string' || !value.includes(publicUrl)) return value;
  const addresses = key.startsWith('srcset') ? value.split(', ') : [value];
  const moved = addresses.map((each) => (each.startsWith(`${publicUrl}/`) ? here + each.slice(publicUrl.length) : each));
  return moved.join(', ');
};

/** What `JSON.parse` does to each value; set by [`openedAt`] where the page is not at the public URL. */
let reviver;

/** Tells this module the server's public URL and where the page is; true when they differ. */
export function openedAt(publicUrl, here) {
  const differs = Boolean(publicUrl) && publicUrl !== here;
  reviver = differs ? atOrigin(publicUrl, here) : undefined;
  return differs;
}

const get = (path, options) => request('GET', path, options);
const post = (path, body, options) => request('POST', path, { body, ...options });
const query = (values) => {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return given.length ? `?${new URLSearchParams(given)}` : '';
};
const segment = encodeURIComponent;

export const api = {
  session: () => get('/session'),
  signIn: (credential) => post('/session', credential),
  signOut: () => request('DELETE', '/session'),

  projects: (cursor) => get(`/projects${query({ limit: 100, cursor })}`),
  project: (id) => get(`/projects/${segment(id)}`),
  createProject: (name) => post('/projects', { name }),
  limits: (projectId) => get(`/limits${query({ project_id: projectId })}`),

  gallery: (id) => get(`/galleries/${segment(id)}`),
  galleries: (projectId, cursor) => get(`/galleries${query({ project_id: projectId, limit: 100, cursor })}`),
  createGallery: (projectId, name) => post('/galleries', { project_id: projectId, name }),
  galleryPage: (id, { limit, cursor, order, sessionId }, options) =>
    get(`/galleries/${segment(id)}/images${query({ limit, cursor, order, session_id: sessionId })}`, options),

  applications: (projectId, cursor) => get(`/applications${query({ project_id: projectId, limit: 100, cursor })}`),
  createApplication: (projectId, name, origins) =>
    post('/applications', { project_id: projectId, name, allowed_origins: origins }),
  allowOrigins: (id, origins) => request('PATCH', `/applications/${segment(id)}`, { body: { allowed_origins: origins } }),

  /** Links for many files; the same `key` makes a repetition of the call give the same links. */
  imageLinks: (body, key) => post('/images/batch', body, { headers: { 'Idempotency-Key': key } }),
  completeImage: (id) => post(`/images/${segment(id)}/complete`),
  image: (id) => get(`/images/${segment(id)}`),

  streamTicket: (projectId) => post(`/projects/${segment(projectId)}/stream-tickets`),

  /** Sends events as a visitor would: with the public application id and without our cookie. */
  events: (application, events) =>
    post('/events/batch', { events }, { headers: { application }, credentials: 'omit', keepalive: true }),
};
