/** The answer to a question in SQL: a chart if it has times and numbers, and a table. */

import { useMemo } from 'preact/hooks';
import type { Schemas } from '../../api/index.js';
import { beginOf, withMissing } from '../../lib/buckets.js';
import { number } from '../../lib/format.js';
import { Chart } from '../../ui/chart.js';
import { Table } from '../../ui/index.js';
import { zone } from './range.js';

export type Report = Schemas['SqlReport'];
export type Row = Record<string, unknown>;

const told = (value: unknown) => (value === null || value === undefined ? '–' : typeof value === 'object' ? JSON.stringify(value) : String(value));

/** At most `count` rows of the answer. */
export function AnswerTable({ report: { columns, rows }, count, caption }: { report: Report; count: number; caption: string }) {
  return (
    <Table
      caption={caption} rows={(rows as Row[]).slice(0, count)} rowKey={(_, index) => index}
      columns={columns.map(({ name, type }) => {
        const isNumber = type === 'integer' || type === 'number';
        const shown = (value: unknown) => (type === 'timestamp' ? told(value).replace(/\.0+(?=Z?$)/, '') : told(value));
        return { title: name, isNumber, cell: (row: Row) => (isNumber && typeof row[name] === 'number' ? number(row[name]) : shown(row[name])) };
      })}
    />
  );
}

/** A chart of the first time column and the numbers beside it; null if there is none. */
export function useChart(report: Report) {
  const timeZone = zone();
  return useMemo(() => chartOf(report, timeZone), [report, timeZone]);
}

export function AnswerChart({ report, label }: { report: Report; label: string }) {
  const chart = useChart(report);
  return chart && <div class="card"><Chart label={label} {...chart} /></div>;
}

function chartOf({ columns, rows }: Report, timeZone: string) {
  const column = columns.find(({ type }) => type === 'timestamp' || type === 'date');
  const figures = columns.filter(({ type }) => type === 'integer' || type === 'number').slice(0, 2);
  if (!column || figures.length === 0 || rows.length < 2) return null;
  const { name, type } = column;
  const timeOf = (row: Row) => (type === 'date' ? beginOf(row[name] as string, timeZone) : Date.parse(row[name] as string));
  const dated = (rows as Row[]).filter((row) => typeof row[name] === 'string').map((row) => ({ at: timeOf(row), row }));
  dated.sort((a, b) => a.at - b.at);
  const known = new Map(dated.map(({ at, row }) => [at, row]));
  // A missing hour or day has no row. Several rows of one time are of several groups, which no line can show apart.
  const times = known.size === dated.length ? withMissing(dated.map(({ at }) => at)) : dated.map(({ at }) => at);
  const rowsShown = known.size === dated.length ? times.map((at) => known.get(at)) : dated.map(({ row }) => row);
  const series = figures.map((figure) => ({ label: figure.name, values: rowsShown.map((row) => (row?.[figure.name] ?? null) as number | null) }));
  return { times: times.map((at) => new Date(at).toISOString()), series, timeZone };
}
