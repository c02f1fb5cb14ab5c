/** The answer to a question in SQL: a chart if it has times and numbers, and a table. */

import { useMemo } from 'preact/hooks';
import type { Schemas } from '../../api/index.js';
import { number } from '../../lib/format.js';
import { Chart } from '../../ui/chart.js';
import { Table } from '../../ui/index.js';

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
  return useMemo(() => chartOf(report), [report]);
}

export function AnswerChart({ report, label }: { report: Report; label: string }) {
  const chart = useChart(report);
  return chart && <div class="card"><Chart label={label} {...chart} /></div>;
}

function chartOf({ columns, rows }: Report) {
  const at = columns.find(({ type }) => type === 'timestamp' || type === 'date')?.name;
  const figures = columns.filter(({ type }) => type === 'integer' || type === 'number').slice(0, 2);
  if (!at || figures.length === 0 || rows.length < 2) return null;
  const sorted = (rows as Row[]).filter((row) => typeof row[at] === 'string').sort((a, b) => Date.parse(a[at] as string) - Date.parse(b[at] as string));
  const series = figures.map(({ name }) => ({ label: name, values: sorted.map((row) => row[name] as number | null) }));
  return { times: sorted.map((row) => new Date(row[at] as string).toISOString()), series };
}
