/** Questions in SQL: an editor, examples, a history, saved questions, the answer as a table, a chart and a file. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, requestFile } from '../../api/index.js';
import { csv } from '../../lib/insight.js';
import type { Question } from '../../lib/questions.js';
import { attempt, notify } from '../../state/notices.js';
import { dropQuestion, questions, saveQuestion } from '../../state/questions.js';
import { go, hrefWith, param, projectId } from '../../state/route.js';
import { Form, TextField } from '../../ui/form.js';
import { Action, Dialog, Icon, Loaded } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { AnswerChart, AnswerTable, type Report, type Row } from './answer.js';
import { createEditor, type Editor } from './editor.js';
import { RangeBar, span, zone } from './range.js';

const text = words.insight;
const LIMIT = 1000;
/** Rows of an answer that the page shows; the file has all of them. */
const SHOWN = 200;
const PARQUET = 'application/vnd.apache.parquet';
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

/** The sentences about the query, without those about the request as a whole. */
function inQuery(error: unknown): unknown {
  const about = error instanceof ApiError ? error.errors['query'] : undefined;
  return about ? new Error([about].flat().join(' ')) : error;
}

export function Sql() {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const [past, setPast] = useState(readHistory);
  const [toSave, setToSave] = useState<string | null>(null);
  const asked = param('q');
  const { from, to } = span();
  const body = { query: asked ?? '', project_id: projectId.value!, from, to, timezone: zone(), limit: LIMIT };
  const load = useLoad(asked ? JSON.stringify(body) : null, async () => {
    const report = await api.post('/analytics/sql', { body }).catch((error: unknown) => Promise.reject(inQuery(error)));
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
        <button type="button" onClick={() => setToSave(editor.current!.text().trim() || null)}>{text.saved.save}</button>
        <span class="hint">{text.runKey}</span>
        <div class="right picks">
          <select aria-label={text.example} onChange={pick}><option value="">{text.example}</option>{EXAMPLES.map(([title, query]) => <option key={title} value={query}>{title}</option>)}</select>
          {past.length > 0 && <select class="past" aria-label={text.history} onChange={pick}><option value="">{text.history}</option>{past.map((query) => <option key={query} value={query}>{query.replace(/\s+/g, ' ').slice(0, 80)}</option>)}</select>}
        </div>
      </div>
      {asked && <Loaded load={load}>{(report) => <Answer report={report} readParquet={() => requestFile('POST', '/analytics/sql', PARQUET, { body })} />}</Loaded>}
      <SavedQuestions />
      {toSave && <SaveQuestion query={toSave} onClose={() => setToSave(null)} />}
    </>
  );
}

function saveAs(name: string, file: Blob): void {
  const url = URL.createObjectURL(file);
  Object.assign(document.createElement('a'), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function Answer({ report, readParquet }: { report: Report; readParquet: () => Promise<Blob> }) {
  const names = report.columns.map(({ name }) => name);
  const rows = report.rows as Row[];
  return (
    <>
      <div class="bar">
        <p role="status">{text.rows(rows.length)}{report.truncated && ` ${text.truncated(LIMIT)}`}{rows.length > SHOWN && ` ${text.firstShown(SHOWN)}`}</p>
        {rows.length > 0 && (
          <div class="right">
            <button type="button" onClick={() => saveAs('eyeline.csv', new Blob([csv(names, rows)], { type: 'text/csv' }))}><Icon name="download" />{text.csv}</button>
            <Action run={async () => saveAs('eyeline.parquet', await readParquet())}><Icon name="download" />{text.parquet}</Action>
          </div>
        )}
      </div>
      <AnswerChart report={report} label={text.answer} />
      <AnswerTable report={report} count={SHOWN} caption={text.answer} />
    </>
  );
}

/** The saved questions, each with an address, a switch for the dashboard, and its end. */
function SavedQuestions() {
  if (questions.value.length === 0) return null;
  return (
    <section class="card">
      <h3>{text.saved.title}</h3>
      <p class="hint">{text.saved.where}</p>
      <ul class="strategies">
        {questions.value.map((question) => (
          <li key={question.name}>
            <a href={hrefWith({ q: question.query })}>{question.name}</a>
            <div class="line end">
              <label class="check"><input type="checkbox" checked={question.isPinned} onChange={(event) => void attempt(async () => saveQuestion({ ...question, isPinned: event.currentTarget.checked }))} />{text.saved.pin}</label>
              <Action class="icon-button" aria-label={`${words.delete}: ${question.name}`} run={async () => remove(question)}><Icon name="trash" /></Action>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function remove(question: Question): void {
  dropQuestion(question.name);
  notify(text.saved.deleted(question.name), { action: { label: words.undo, run: () => void attempt(async () => saveQuestion(question)) } });
}

function SaveQuestion({ query, onClose }: { query: string; onClose: () => void }) {
  const known = questions.value.find((each) => each.query === query);
  const save = async ({ name, pinned }: Record<string, string>) => {
    if (!name!.trim()) throw new Error(text.saved.nameNeeded);
    saveQuestion({ name: name!.trim(), query, isPinned: pinned === 'on' });
    onClose();
  };
  return (
    <Dialog title={text.saved.save} onClose={onClose}>
      <Form onSubmit={save} submit={words.save} onCancel={onClose}>
        <TextField name="name" label={text.saved.name} hint={text.saved.where} maxLength={100} defaultValue={known?.name} autofocus />
        <label class="check"><input type="checkbox" name="pinned" defaultChecked={known?.isPinned} />{text.saved.pin}</label>
      </Form>
    </Dialog>
  );
}
