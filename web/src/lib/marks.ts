/** What happened to a gallery while its figures were made, as marks on a chart. */

import { today } from './range.js';
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

/** The marks within a span of times, the oldest first. */
export const marksWithin = (marks: Mark[], from: number, to: number): Mark[] =>
  marks.filter(({ at }) => Date.parse(at) >= from && Date.parse(at) <= to).sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
