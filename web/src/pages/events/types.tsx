/** The declared types of events, with how many of each fail. */

import { api, readAll } from '../../api/index.js';
import { number, percent } from '../../lib/format.js';
import { href, projectId, route } from '../../state/route.js';
import { Empty, Icon, Loaded, Table } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { EditType } from './type.js';

const text = words.events;

/** A type in the list: declared, or only seen in events. */
interface Row {
  category: string;
  name: string;
  schema: boolean;
  on_invalid: string | null;
  version: number | null;
  events: number;
  failed: number;
}

async function read(project_id: string): Promise<Row[]> {
  const [declared, counted, { causes }] = await Promise.all([
    readAll((cursor?: string) => api.get('/event-types', { query: { project_id, limit: 100, cursor } }), (page) => page.event_types),
    api.get('/analytics/features', { query: { project_id, limit: 1000 } }),
    api.get('/events/quarantine/causes', { query: { project_id } }),
  ]);
  const rows = new Map<string, Row>();
  const row = ({ category, name }: { category: string; name: string }) => {
    const key = JSON.stringify([category, name]);
    const known = rows.get(key) ?? { category, name, schema: false, on_invalid: null, version: null, events: 0, failed: 0 };
    rows.set(key, known);
    return known;
  };
  for (const type of declared) Object.assign(row(type), { schema: type.schema !== null, on_invalid: type.on_invalid, version: type.version });
  for (const feature of counted.rows) row(feature).events += feature.count;
  for (const cause of causes) row(cause).failed += cause.events;
  return [...rows.values()].sort((a, b) => b.failed - a.failed || b.events - a.events);
}

export function Types() {
  const [, , category, name] = route.value.path;
  const load = useLoad(projectId.value, () => read(projectId.value!));
  if (category) return <EditType key={`${category}/${name}`} category={name ? category : ''} name={name ?? ''} />;
  return (
    <>
      <div class="bar">
        <p class="hint">{text.typesHint}</p>
        <a class="button right" href={href(['events', 'types', 'new'])}><Icon name="add" />{text.newType}</a>
      </div>
      <Loaded load={load}>
        {(rows) => (rows.length === 0 ? <Empty title={text.noTypes}><p>{text.noTypesText}</p></Empty> : <Table caption={text.tabs.types} rows={rows} rowKey={(row) => `${row.category}/${row.name}`} columns={COLUMNS} />)}
      </Loaded>
    </>
  );
}

const COLUMNS = [
  { title: text.columns.type, cell: ({ category, name }: Row) => <a href={href(['events', 'types', category, name])}>{category} / {name}</a> },
  { title: text.columns.schema, cell: ({ schema, version }: Row) => (schema ? text.version(version ?? 1) : text.anyObject) },
  { title: text.columns.onInvalid, isWideOnly: true, cell: ({ on_invalid }: Row) => (on_invalid === null ? text.undeclared : text.onInvalid[on_invalid as 'reject' | 'quarantine']) },
  { title: text.columns.events, isNumber: true, cell: ({ events }: Row) => number(events) },
  {
    title: text.columns.failed, isNumber: true,
    cell: ({ category, name, events, failed }: Row) =>
      (failed ? <a class="problem" href={href(['events', 'quarantine'], { category, name })}>{number(failed)} · {percent(failed / (events + failed))}</a> : '0'),
  },
];
