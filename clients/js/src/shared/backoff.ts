/** Waiting times between attempts. */

export interface Backoff {
  baseMs?: number;
  maxMs?: number;
  /** Returns a number from 0 to 1. */
  random?: () => number;
}

/**
 * The milliseconds to wait before attempt `attempt` (0 is the first repetition). The wait doubles from `baseMs` up to
 * `maxMs`. Its upper half is random, so that many pages do not come back in step.
 */
export function backoffMs(attempt: number, { baseMs = 500, maxMs = 30_000, random = Math.random }: Backoff = {}): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return Math.round(full / 2 + (full / 2) * random());
}

/** Reads a `Retry-After` header (seconds or an HTTP date) as milliseconds from `now`; null when there is none. */
export function retryAfterMs(value: string | null | undefined, now = Date.now()): number | null {
  if (!value) return null;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** Resolves after `ms`; rejects when `signal` is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** An error that says whether another attempt can help. */
export interface Temporary {
  temporary?: boolean;
  retryAfterMs?: number | null;
}

/**
 * Runs `work` until it succeeds, at most `attempts` times. Only errors whose `temporary` is true are worth another
 * attempt. An error's `retryAfterMs` is the least wait.
 */
export async function withRetry<T>(
  work: () => Promise<T>,
  {
    attempts = 5,
    signal,
    wait = sleep,
    ...timing
  }: Backoff & { attempts?: number; signal?: AbortSignal; wait?: (ms: number, signal?: AbortSignal) => Promise<void> } = {},
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const { temporary, retryAfterMs: least } = error as Temporary;
      if (!temporary || attempt + 1 >= attempts) throw error;
      await wait(Math.max(backoffMs(attempt, timing), least ?? 0), signal);
    }
  }
}
