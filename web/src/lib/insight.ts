/** The dashboard's arithmetic. */

export interface Used {
  image_id: string | null;
  views: number;
  clicks: number;
}

/** Views that the gallery's own rate counts for, so that a picture with a single click does not lead. */
const PRIOR_VIEWS = 20;

/** The pictures with the highest and the lowest click rate, each drawn towards the mean while it has few views. */
export function bestAndWorst<Row extends Used>(rows: Row[], count: number): { best: Row[]; worst: Row[] } {
  const known = rows.filter(({ image_id, views }) => image_id !== null && views > 0);
  const views = known.reduce((sum, row) => sum + row.views, 0);
  const clicks = known.reduce((sum, row) => sum + row.clicks, 0);
  const mean = views ? clicks / views : 0;
  const rate = (row: Row) => (row.clicks + PRIOR_VIEWS * mean) / (row.views + PRIOR_VIEWS);
  const sorted = [...known].sort((a, b) => rate(b) - rate(a));
  const best = sorted.slice(0, Math.min(count, Math.ceil(sorted.length / 2)));
  return { best, worst: sorted.slice(best.length).reverse().slice(0, count) };
}

/** The change from before to now as a share; null without a before. */
export const changeOf = (now: number | null, before: number | null): number | null =>
  now === null || !before ? null : now / before - 1;

/** A CSV text by RFC 4180. Texts that a spreadsheet would run as a formula begin with an apostrophe. */
export function csv(columns: string[], rows: Record<string, unknown>[]): string {
  const cell = (value: unknown) => {
    if (value === null || value === undefined) return '';
    const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
    const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };
  return [columns.map(cell), ...rows.map((row) => columns.map((name) => cell(row[name])))].map((line) => line.join(',')).join('\r\n');
}

/** A type of events in a list of steps, as the API reads it: a backslash before / , and itself. */
export const stepOf = ({ category, name }: { category: string; name: string }): string =>
  [category, name].map((text) => text.replace(/[\\/,]/g, '\\$&')).join('/');

export interface PathRow {
  steps: { category: string; name: string }[];
  count: number;
}

export interface FlowNode {
  id: string;
  title: string;
  step: number;
}

export interface FlowLink {
  source: string;
  target: string;
  value: number;
}

/** The paths as a flow: a node for each type at each step, and a link for each pair that follow each other. */
export function flowOf(rows: PathRow[]): { nodes: FlowNode[]; links: FlowLink[] } {
  const nodes = new Map<string, FlowNode>();
  const links = new Map<string, FlowLink>();
  for (const { steps, count } of rows) {
    const ids = steps.map((type, step) => {
      const id = `${step} ${stepOf(type)}`;
      nodes.set(id, { id, title: `${type.category} / ${type.name}`, step });
      return id;
    });
    ids.slice(1).forEach((target, at) => {
      const source = ids[at]!;
      const link = links.get(`${source} ${target}`) ?? { source, target, value: 0 };
      link.value += count;
      links.set(`${source} ${target}`, link);
    });
  }
  return { nodes: [...nodes.values()], links: [...links.values()] };
}
