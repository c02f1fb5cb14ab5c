/** Spans of days by the clocks of a time zone, and the span of the same length before. */

import { formatters } from './format.js';

export interface Span {
  /** The first day. */
  from: string;
  /** The day after the last one. */
  to: string;
}

const DAY_MS = 86_400_000;

/** The day after `days` days; both as `2021-01-31`. */
export const addDays = (date: string, days: number): string =>
  new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);

const calendars = formatters((timeZone: string) => new Intl.DateTimeFormat('en', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }));

/** The day it is in a time zone. */
export function today(timeZone: string, now = new Date()): string {
  const parts = calendars(timeZone).formatToParts(now);
  const part = (type: string) => parts.find((each) => each.type === type)!.value;
  return `${part('year')}-${part('month')}-${part('day')}`;
}

export const daysOf = ({ from, to }: Span): number => Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);

const isDate = (text: string | null): text is string => text !== null && !Number.isNaN(Date.parse(`${text}T00:00:00Z`));

/** The last `days` days, today included; or the own span, if both its ends are days in their order. */
export function spanOf(days: number, timeZone: string, own: { from: string | null; to: string | null }, now = new Date()): Span {
  if (isDate(own.from) && isDate(own.to) && own.from <= own.to) return { from: own.from, to: addDays(own.to, 1) };
  const end = addDays(today(timeZone, now), 1);
  return { from: addDays(end, -days), to: end };
}

export const spanBefore = (span: Span): Span => ({ from: addDays(span.from, -daysOf(span)), to: span.from });

/** The length of a bucket that gives a chart of some dozen points. */
export const intervalOf = (span: Span): 'hour' | 'day' | 'week' => (daysOf(span) <= 2 ? 'hour' : daysOf(span) <= 120 ? 'day' : 'week');
