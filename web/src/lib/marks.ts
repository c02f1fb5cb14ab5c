/** Changes of a gallery during the span of a chart, as marks on it. */

import { number, percent, plural } from './format.js';
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

/** The settings of a ranking, as the API tells them to keys. */
export interface Settings {
  strategy: string;
  view_weight: number;
  click_weight: number;
  half_life: number | null;
  guard?: boolean;
  holdout_percent?: number;
  holdout_control?: string;
}

interface Change {
  changed_at: string;
  ranking: { before: Settings; after: Settings } | null;
  rules: { added: number; removed: number } | null;
}

const text = words.insight.marks;
/** Days after which an event counts half, if the owner set none. */
const HALF_LIFE_DAYS = 14;

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

/** The settings that changed, as phrases. */
function changed({ before, after }: { before: Settings; after: Settings }): string[] {
  const differs = (...names: (keyof Settings)[]) => names.some((name) => before[name] !== after[name]);
  return [
    differs('strategy') && text.strategy(words.order.strategies[after.strategy as keyof typeof words.order.strategies]?.name ?? after.strategy),
    differs('view_weight', 'click_weight') && text.weights(number(after.view_weight), number(after.click_weight)),
    differs('half_life') && text.halfLife(plural(after.half_life ?? HALF_LIFE_DAYS, 'day')),
    differs('guard') && text.guard(after.guard === true),
    differs('holdout_percent', 'holdout_control') && text.holdout(percent((after.holdout_percent ?? 0) / 100)),
  ].filter((phrase) => phrase !== false);
}

/** One mark for each change of the ranking, and one a day on which rules were set, at the first change of that day. */
export function changeMarks(changes: Change[], timeZone: string): Mark[] {
  const ranking = changes.flatMap(({ changed_at, ranking }) => (ranking ? [{ at: changed_at, text: changed(ranking).join(', ') }] : []));
  const days = new Map<string, { at: string; added: number; removed: number }>();
  for (const { changed_at, rules } of [...changes].sort((a, b) => Date.parse(a.changed_at) - Date.parse(b.changed_at))) {
    if (!rules) continue;
    const day = today(timeZone, new Date(changed_at));
    const sum = days.get(day) ?? { at: changed_at, added: 0, removed: 0 };
    days.set(day, { at: sum.at, added: sum.added + rules.added, removed: sum.removed + rules.removed });
  }
  return [...ranking, ...[...days.values()].map(({ at, added, removed }) => ({ at, text: text.rules(added, removed) }))];
}

/** The marks on the days of a span, the oldest first. */
export const marksWithin = (marks: Mark[], { from, to }: Span, timeZone: string): Mark[] => {
  const isWithin = (day: string) => day >= from && day < to;
  return marks.filter(({ at }) => isWithin(today(timeZone, new Date(at)))).sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
};
