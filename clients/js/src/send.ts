/** One request to the server with events, and what its answer means for them. */

import { retryAfterMs } from './shared/backoff.js';

/** A browser lets pages that go away send 64 KiB; the page's own requests have the rest. */
export const BODY_BYTES_MAX = 52_000;
/** Events of one request. The server allows an address 100 events a second by default. */
export const EVENTS_MAX = 50;
const ANSWER_MS_MAX = 30_000;

export type Outcome =
  /** The server has answered for every event of the request; `problem` tells what it refused. */
  | { done: true; problem?: string }
  /** The events have to be sent again, after at least `waitMs`. No `status`: there was no answer. */
  | { done: false; status?: number; problem: string; waitMs: number };

interface Answer {
  accepted?: number;
  detail?: string;
  rejected?: { index: number; errors: unknown }[];
}

/**
 * Sends events. The body is text, so that the browser asks no permission first. `last`: the page is going away, and the
 * request has to outlive it.
 */
export async function send(url: string, texts: string[], last: boolean): Promise<Outcome> {
  const body = `[${texts.join()}]`;
  let response: Response;
  let answer: Answer;
  try {
    if (last && !('keepalive' in Request.prototype)) navigator.sendBeacon(url, body);
    response = await fetch(url, {
      method: 'POST',
      body,
      credentials: 'omit',
      keepalive: last,
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    answer = await response.json().catch(() => ({}));
  } catch (error) {
    return { done: false, problem: String(error), waitMs: 0 };
  }
  const { status } = response;
  const { rejected } = answer;
  // A portal of a network may answer 200 with a page of its own.
  if (rejected || (response.ok && answer.accepted !== undefined)) {
    return rejected?.length ? { done: true, problem: JSON.stringify(rejected) } : { done: true };
  }
  const problem = `${status} ${answer.detail ?? ''}`;
  // The request itself is wrong, and will be the next time.
  if (status === 400 || status === 413 || status === 415 || status === 422) return { done: true, problem };
  return { done: false, status, problem, waitMs: retryAfterMs(response.headers.get('Retry-After')) ?? 0 };
}
