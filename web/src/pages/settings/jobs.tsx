/** Work that the server gave up. */

import { api, type Schemas } from '../../api/index.js';
import { number } from '../../lib/format.js';
import { notify } from '../../state/notices.js';
import { Action, Loaded, Table, Time } from '../../ui/index.js';
import { useList } from '../../ui/load.js';
import { words } from '../../words/index.js';

type Job = Schemas['Job'];

const text = words.settings.jobs;

export function Jobs() {
  const list = useList<Job>('jobs', async (cursor) => {
    const page = await api.get('/jobs', { query: { limit: 50, cursor } });
    return { entries: page.jobs, next: page.next_cursor };
  });
  const retry = async (job_id: string) => {
    await api.post('/jobs/{job_id}/retry', { path: { job_id } });
    notify(text.retried);
    list.reload();
  };
  return (
    <>
      <p class="hint">{text.hint}</p>
      <Loaded load={list}>
        {() => (
          <Table
            caption={words.settings.tabs.jobs} rows={list.entries} more={list.more} empty={text.none} rowKey={({ job_id }) => job_id}
            columns={[
              { title: text.kind, cell: ({ kind }) => kind.replace(/_/g, ' ') },
              { title: text.subject, cell: ({ subject }) => <code>{subject}</code> },
              { title: text.reason, cell: ({ reason }) => reason },
              { title: text.attempts, isNumber: true, cell: ({ attempts }) => number(attempts) },
              { title: text.when, cell: ({ created_at }) => <Time at={created_at} relative /> },
              { title: text.retry, cell: ({ job_id }) => <Action run={() => retry(job_id)}>{text.retry}</Action> },
            ]}
          />
        )}
      </Loaded>
    </>
  );
}
