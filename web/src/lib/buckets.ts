/** The buckets of a chart: every hour, day or week of a span, also those without events. */

import { formatters } from './format.js';
import { addDays, daysOf, type Span } from './range.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Clocks that change make some days an hour longer or shorter. */
const CLOCK_CHANGE_MS = HOUR_MS;
/** Steps that are looked for in times that came without one. */
const STEPS_MS = [60_000, HOUR_MS, DAY_MS, 7 * DAY_MS];
/** Times beyond which gaps are not filled. */
const FILLED_MAX = 2000;

const clocks = formatters((timeZone: string) => new Intl.DateTimeFormat('en', {
  timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric',
}));

/** Milliseconds by which the clocks of a zone are ahead of UTC. */
function offsetAt(at: number, timeZone: string): number {
  const parts = Object.fromEntries(clocks(timeZone).formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(parts['year']!, parts['month']! - 1, parts['day'], parts['hour'], parts['minute'], parts['second']) - at;
}

/** The time at which a day such as `2021-01-31` begins in a zone. */
export function beginOf(day: string, timeZone: string): number {
  const local = Date.parse(`${day}T00:00:00Z`);
  const near = local - offsetAt(local, timeZone);
  return local - offsetAt(near, timeZone);
}

/** The beginnings of the buckets of a span, as the API cuts them: weeks begin on Monday. Those after `now` are left out. */
export function bucketsOf(span: Span, interval: 'hour' | 'day' | 'week', timeZone: string, now = Date.now()): number[] {
  const begins: number[] = [];
  if (interval === 'hour') {
    const end = beginOf(span.to, timeZone);
    for (let at = beginOf(span.from, timeZone); at < end; at += HOUR_MS) begins.push(at);
  } else {
    const weekday = (new Date(`${span.from}T00:00:00Z`).getUTCDay() + 6) % 7;
    const first = interval === 'week' ? addDays(span.from, -weekday) : span.from;
    const length = interval === 'week' ? 7 : 1;
    for (let days = 0; days < daysOf({ from: first, to: span.to }); days += length) begins.push(beginOf(addDays(first, days), timeZone));
  }
  return begins.filter((at) => at <= now);
}

/** The sum of each bucket; `counts` is `[time, count]`. One without counts has zero. */
export function countsIn(begins: number[], counts: [at: number, count: number][]): number[] {
  const sums = begins.map(() => 0);
  for (const [at, count] of counts) {
    const index = begins.findLastIndex((begin) => begin <= at);
    if (index >= 0) sums[index]! += count;
  }
  return sums;
}

const stepsBetween = (from: number, to: number, step: number): number => {
  const steps = Math.round((to - from) / step);
  const slack = step < DAY_MS ? 0 : CLOCK_CHANGE_MS;
  return steps > 0 && Math.abs(to - from - steps * step) <= slack ? steps : NaN;
};

/** Ascending times with those that are missing between them, if all are whole minutes, hours, days or weeks apart. */
export function withMissing(times: number[]): number[] {
  const gaps = (step: number) => times.slice(1).map((at, index) => stepsBetween(times[index]!, at, step));
  const step = STEPS_MS.findLast((each) => !gaps(each).some(Number.isNaN));
  if (!step) return times;
  const steps = gaps(step);
  if (steps.reduce((sum, count) => sum + count, 1) > FILLED_MAX) return times;
  return times.flatMap((at, index) => {
    const count = steps[index] ?? 1;
    return Array.from({ length: count }, (_, more) => at + (more * (index + 1 < times.length ? times[index + 1]! - at : 0)) / count);
  });
}
