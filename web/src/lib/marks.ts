/** Changes of a gallery during the span of a chart, as marks on it. */

import { today, type Span } from './range.js';
import { words } from '../words/index.js';

export interface Mark {
  at: string;
  text: string;
}

interface Dated {
  from?: string | null;
  until?: string | null;
}

const text = words.insight.marks;

/** One mark a day on which images were added, at the first of them. `hasMore`: the list ends within its last day. */
export function uploadMarks(created: string[], hasMore: boolean, timeZone: string): Mark[] {
  const days = new Map<string, string[]>();
  for (const at of [...created].sort()) {
    const day = today(timeZone, new Date(at));
    days.set(day, [...(days.get(day) ?? []), at]);
  }
  return [...days.values()].map((times, index) => ({ at: times[0]!, text: text.added(times.length, hasMore && index === 0) }));
}

/** The beginnings and ends of rules that have some. */
export const ruleMarks = (rules: { rule: Dated; does: string }[]): Mark[] =>
  rules.flatMap(({ rule: { from, until }, does }) => [
    ...(from ? [{ at: from, text: text.begins(does) }] : []),
    ...(until ? [{ at: until, text: text.ends(does) }] : []),
  ]);

/** The marks on the days of a span, the oldest first. */
export const marksWithin = (marks: Mark[], { from, to }: Span, timeZone: string): Mark[] => {
  const isWithin = (day: string) => day >= from && day < to;
  return marks.filter(({ at }) => isWithin(today(timeZone, new Date(at)))).sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
};
