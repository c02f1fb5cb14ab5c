/** Waiting times between attempts, and a loop that uses them. Pure but for the timer. */

/**
 * How long to wait before attempt `attempt` (0 is the first repetition), in milliseconds: doubling from `baseMs`
 * up to `maxMs`, with the upper half left to chance so that many pages do not come back in step.
 */
export function backoffMs(attempt, { baseMs = 500, maxMs = 30_000, random = Math.random } = {}) {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return Math.round(full / 2 + (full / 2) * random());
}

/** Reads a `Retry-After` header (seconds or an HTTP date) as milliseconds from `now`; null when there is none. */
export function retryAfterMs(value, now = Date.now()) {
  if (!value) return null;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** Resolves after `ms`; rejects at once when `signal` is aborted. */
export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/**
 * Runs `work` until it succeeds, at most `attempts` times. Only errors whose `temporary` is true are worth another
 * attempt; the server's `retryAfterMs`, when the error carries one, is the least we wait.
 */
export async function withRetry(work, { attempts = 5, signal, wait = sleep, ...timing } = {}) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!error.temporary || attempt + 1 >= attempts) throw error;
      await wait(Math.max(backoffMs(attempt, timing), error.retryAfterMs ?? 0), signal);
    }
  }
}
