/** Reads a gallery's past from the API: its creation, changes of its settings and rules, dated rules, and images by day. */

import { api, type Schemas } from '../../api/index.js';
import { changeMarks, marksWithin, ruleMarks, uploadMarks, type Mark } from '../../lib/marks.js';
import { addDays, type Span } from '../../lib/range.js';
import type { Gallery } from '../../state/project.js';
import { words } from '../../words/index.js';
import { readRules } from '../gallery/actions.js';
import { zone } from './range.js';

/** Images of each page that is read. The newest image alone tells most dashboards that none was added lately. */
const PAGES = [1, 24];

/** The newest images from a day on; a day more is read, because the day is one of the viewer's zone. */
async function imagesSince(project_id: string, day: string): Promise<{ created: string[]; hasMore: boolean }> {
  const created: string[] = [];
  const from = addDays(day, -1);
  let cursor: string | undefined;
  for (const limit of PAGES) {
    const { images, next_cursor } = await api.get('/projects/{project_id}/images', { path: { project_id }, query: { limit, cursor } });
    const recent = images.filter(({ created_at }) => created_at >= from);
    created.push(...recent.map(({ created_at }) => created_at));
    if (recent.length < images.length || !next_cursor) return { created, hasMore: false };
    cursor = next_cursor;
  }
  return { created, hasMore: true };
}

/** Changes of each page that is read. Most galleries have none. */
const CHANGES = [5, 100];

/** The newest changes of the settings and rules from a day on. */
async function changesSince(gallery_id: string, day: string) {
  const changes: Schemas['PastChange'][] = [];
  const from = addDays(day, -1);
  let cursor: string | undefined;
  for (const limit of CHANGES) {
    const page = await api.get('/galleries/{gallery_id}/changes', { path: { gallery_id }, query: { limit, cursor } });
    const recent = page.changes.filter(({ changed_at }) => changed_at >= from);
    changes.push(...recent);
    if (recent.length < page.changes.length || !page.next_cursor) break;
    cursor = page.next_cursor;
  }
  return changes;
}

export async function readMarks({ gallery_id, project_id, created_at }: Gallery, span: Span): Promise<Mark[]> {
  const [rules, changes, { created, hasMore }] = await Promise.all([
    readRules(gallery_id), changesSince(gallery_id, span.from), imagesSince(project_id, span.from),
  ]);
  const dated = (['pin', 'boost', 'exclude'] as const).flatMap((kind) =>
    rules[kind].map((rule: { position?: number; factor?: number; from?: string | null; until?: string | null }) =>
      ({ rule, does: words.rules.does[kind](String(rule.position ?? rule.factor ?? '')) })));
  const all = [
    { at: created_at, text: words.insight.marks.created }, ...changeMarks(changes, zone()), ...ruleMarks(dated), ...uploadMarks(created, hasMore, zone()),
  ];
  return marksWithin(all, span, zone());
}
