/** Erasing what one session did, with receipts. */

import { api, type Schemas } from '../../api/index.js';
import { number } from '../../lib/format.js';
import { projectId } from '../../state/route.js';
import { Form, TextField } from '../../ui/form.js';
import { Loaded, Table, Time } from '../../ui/index.js';
import { useList } from '../../ui/load.js';
import { words } from '../../words/index.js';

type Erasure = Schemas['Erasure'];

const text = words.settings.erasures;

export function Erasures() {
  const path = { project_id: projectId.value! };
  const list = useList<Erasure>(projectId.value, async (cursor) => {
    const page = await api.get('/projects/{project_id}/erasures', { path, query: { limit: 50, cursor } });
    return { entries: page.erasures, next: page.next_cursor };
  });
  const erase = async ({ session_id }: Record<string, string>) => {
    await api.post('/projects/{project_id}/erasures', { path, body: { session_id: session_id!.trim() } });
    list.reload();
  };
  return (
    <>
      <section class="card narrow">
        <p>{text.hint}</p>
        <Form onSubmit={erase} submit={text.erase} danger><TextField name="session_id" label={text.session} spellcheck={false} /></Form>
      </section>
      <Loaded load={list}>
        {() => (
          <Table
            caption={words.settings.tabs.erasures} rows={list.entries} more={list.more} empty={text.none} rowKey={({ erasure_id }) => erasure_id}
            columns={[
              { title: text.session, cell: ({ session_id, erasure_id }) => <span title={text.receipt(erasure_id)}>{session_id}</span> },
              { title: text.state, cell: ({ state }) => text.states[state] },
              { title: text.requested, cell: ({ requested_at }) => <Time at={requested_at} relative /> },
              { title: text.finished, cell: ({ finished_at }) => (finished_at ? <Time at={finished_at} relative /> : '–') },
              { title: text.events, isNumber: true, cell: ({ events }) => (events === null ? '–' : number(events)) },
            ]}
          />
        )}
      </Loaded>
    </>
  );
}
