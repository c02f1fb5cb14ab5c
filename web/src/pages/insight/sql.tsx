/** Questions in SQL: an editor, examples, a history, the answer as a table and a chart, and as CSV. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { number } from '../../lib/format.js';
import { csv } from '../../lib/insight.js';
import { go, hrefWith, param, projectId } from '../../state/route.js';
import { Chart } from '../../ui/chart.js';
import { Icon, Loaded, Table } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { createEditor, type Editor } from './editor.js';
import { RangeBar, span, zone } from './range.js';

type Report = Schemas['SqlReport'];
type Row = Record<string, unknown>;

const text = words.insight;
const LIMIT = 1000;
/** Rows of an answer that the page shows; the file has all of them. */
const SHOWN = 200;
const HISTORY = 'eyeline.sql';
const HISTORY_MAX = 20;

const EXAMPLES: [title: string, query: string][] = [
  [text.examples.hours, "SELECT date_trunc('hour', timestamp) AS hour, count(*) AS events\nFROM events\nGROUP BY 1\nORDER BY 1"],
  [text.examples.types, 'SELECT category, name, count(*) AS events, count(DISTINCT session_id) AS sessions\nFROM events\nGROUP BY 1, 2\nORDER BY 3 DESC'],
  [text.examples.pictures, "SELECT data->>'image_id' AS image,\n  count(*) FILTER (WHERE name = 'view') AS views,\n  count(*) FILTER (WHERE name = 'click') AS clicks\nFROM events\nWHERE category = 'gallery'\nGROUP BY 1\nORDER BY 3 DESC\nLIMIT 20"],
  [text.examples.long, 'SELECT session_id, count(*) AS events, max(timestamp) - min(timestamp) AS lasted\nFROM events\nGROUP BY 1\nORDER BY 2 DESC\nLIMIT 20'],
];

function readHistory(): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(HISTORY) ?? '[]');
    return Array.isArray(found) ? found.filter((each) => typeof each === 'string') : [];
  } catch {
    return [];
  }
}

function remember(query: string): string[] {
  const next = [query, ...readHistory().filter((each) => each !== query)].slice(0, HISTORY_MAX);
  try {
    localStorage.setItem(HISTORY, JSON.stringify(next));
  } catch {
    // Without storage the history lasts until the page is left.
  }
  return next;
}

export function Sql() {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const [past, setPast] = useState(readHistory);
  const asked = param('q');
  const { from, to } = span();
  const body = { query: asked ?? '', project_id: projectId.value!, from, to, timezone: zone(), limit: LIMIT };
  const load = useLoad(asked ? JSON.stringify(body) : null, async () => {
    const report = await api.post('/analytics/sql', { body });
    setPast(remember(body.query));
    return report;
  });
  const isBusy = Boolean(asked) && load.isLoading;

  const run = () => {
    const query = editor.current!.text().trim();
    if (!query || isBusy) return;
    if (query === asked) load.reload();
    else go(hrefWith({ q: query }));
  };
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    editor.current = createEditor(host.current!, { text: asked ?? EXAMPLES[0]![1], label: text.query, run: () => latest.current() });
    return () => editor.current?.destroy();
  }, []);
  // The address names the query, so that Back shows the query before.
  useEffect(() => {
    if (asked !== editor.current!.text().trim()) editor.current!.set(asked ?? EXAMPLES[0]![1]);
  }, [asked]);
  const pick = (event: { currentTarget: HTMLSelectElement }) => {
    if (event.currentTarget.value) editor.current!.set(event.currentTarget.value);
    event.currentTarget.value = '';
  };
  return (
    <>
      <RangeBar />
      <div class="editor" ref={host} />
      <div class="bar">
        <button type="button" class="primary" disabled={isBusy} onClick={run}><Icon name="play" />{text.run}</button>
        <span class="hint">{text.runKey}</span>
        <div class="right">
          <select aria-label={text.example} onChange={pick}><option value="">{text.example}</option>{EXAMPLES.map(([title, query]) => <option key={title} value={query}>{title}</option>)}</select>
          {past.length > 0 && <select class="past" aria-label={text.history} onChange={pick}><option value="">{text.history}</option>{past.map((query) => <option key={query} value={query}>{query.replace(/\s+/g, ' ').slice(0, 80)}</option>)}</select>}
        </div>
      </div>
      {asked && <Loaded load={load}>{(report) => <Answer report={report} />}</Loaded>}
    </>
  );
}

function Answer({ report }: { report: Report }) {
  const names = report.columns.map(({ name }) => name);
  const rows = report.rows as Row[];
  const download = () => {
    const url = URL.createObjectURL(new Blob([csv(names, rows)], { type: 'text/csv' }));
    Object.assign(document.createElement('a'), { href: url, download: 'eyeline.csv' }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  const told = (value: unknown) => (value === null || value === undefined ? '–' : typeof value === 'object' ? JSON.stringify(value) : String(value));
  return (
    <>
      <div class="bar">
        <p role="status">{text.rows(rows.length)}{report.truncated && ` ${text.truncated(LIMIT)}`}{rows.length > SHOWN && ` ${text.firstShown(SHOWN)}`}</p>
        {rows.length > 0 && <button type="button" class="right" onClick={download}><Icon name="download" />{text.csv}</button>}
      </div>
      <AnswerChart report={report} />
      <Table
        caption={text.answer} rows={rows.slice(0, SHOWN)} rowKey={(_, index) => index}
        columns={report.columns.map(({ name, type }) => {
          const isNumber = type === 'integer' || type === 'number';
          const shown = (value: unknown) => (type === 'timestamp' ? told(value).replace(/\.0+(?=Z?$)/, '') : told(value));
          return { title: name, isNumber, cell: (row: Row) => (isNumber && typeof row[name] === 'number' ? number(row[name]) : shown(row[name])) };
        })}
      />
    </>
  );
}

/** A chart of the first time column and the numbers beside it, if there are some. */
function AnswerChart({ report }: { report: Report }) {
  const chart = useMemo(() => chartOf(report), [report]);
  return chart && <div class="card"><Chart label={text.answer} {...chart} /></div>;
}

function chartOf({ columns, rows }: Report) {
  const at = columns.find(({ type }) => type === 'timestamp' || type === 'date')?.name;
  const figures = columns.filter(({ type }) => type === 'integer' || type === 'number').slice(0, 2);
  if (!at || figures.length === 0 || rows.length < 2) return null;
  const sorted = (rows as Row[]).filter((row) => typeof row[at] === 'string').sort((a, b) => Date.parse(a[at] as string) - Date.parse(b[at] as string));
  const series = figures.map(({ name }) => ({ label: name, values: sorted.map((row) => row[name] as number | null) }));
  return { times: sorted.map((row) => new Date(row[at] as string).toISOString()), series };
}
