/** The newest events as they arrive, with filters. */

import { useEffect, useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { go, hrefWith, param, projectId } from '../../state/route.js';
import { FilterField } from '../../ui/form.js';
import { Empty, Icon, Loaded, Table, Time } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { EventDialog } from './event.js';

type Event = Schemas['Event'];

const text = words.events;
/** The tail is read again after this long. */
const EVERY_MS = 2000;
const SHOWN = 50;
const FILTERS = ['category', 'name', 'session_id'] as const;

export function LiveTail() {
  const [isPaused, setPaused] = useState(false);
  const filters = Object.fromEntries(FILTERS.map((name) => [name, param(name) ?? undefined]));
  const project_id = projectId.value!;
  const key = JSON.stringify([project_id, filters]);
  const list = useLoad(key, () => api.get('/events', { query: { project_id, ...filters, order: 'received_at', limit: SHOWN } }));
  useEffect(() => {
    // A read that takes longer than the interval is waited for, because the next one would discard its answer.
    if (isPaused || list.isLoading) return;
    const timer = setInterval(() => !document.hidden && list.reload(), EVERY_MS);
    return () => clearInterval(timer);
  }, [isPaused, list.isLoading, list.reload]);
  const shown = param('event');
  const isFiltered = FILTERS.some((name) => param(name));
  return (
    <>
      <form class="bar filters" onSubmit={(event) => event.preventDefault()}>
        {FILTERS.map((name) => <FilterField key={name} label={text.filters[name]} value={param(name) ?? ''} onChange={(wanted) => go(hrefWith({ [name]: wanted || null }))} />)}
        {isFiltered && <button type="button" class="quiet" onClick={() => go(hrefWith({ category: null, name: null, session_id: null }))}>{text.clearFilters}</button>}
        <button type="button" class="right" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}><Icon name={isPaused ? 'play' : 'pause'} />{isPaused ? text.resume : text.pause}</button>
      </form>
      <Loaded load={list}>
        {({ events }) => (events.length === 0
          ? <Empty title={isFiltered ? text.noneFiltered : text.none}><p>{isFiltered ? text.noneFilteredText : text.noneText}</p></Empty>
          : <Table caption={text.tabs.live} rows={events} rowKey={({ event_id }) => event_id} columns={COLUMNS} />)}
      </Loaded>
      {shown && <EventDialog id={shown} event={list.data?.events.find(({ event_id }) => event_id === shown) ?? null} onClose={() => go(hrefWith({ event: null, application: null }))} />}
    </>
  );
}

const COLUMNS = [
  { title: text.columns.received, cell: ({ received_at }: Event) => <Time at={received_at} relative /> },
  { title: text.columns.type, cell: ({ event_id, application, category, name }: Event) => <a href={hrefWith({ event: event_id, application })}>{category} / {name}</a> },
  { title: text.columns.data, cell: ({ data }: Event) => <code class="clip">{JSON.stringify(data)}</code> },
  { title: text.columns.session, isWideOnly: true, cell: ({ session_id }: Event) => <a class="clip" href={hrefWith({ session_id })} title={session_id}>{session_id.slice(-12)}</a> },
];
