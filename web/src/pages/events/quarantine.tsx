/** Events that were accepted but do not count, by cause; and counting them after a correction. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { number } from '../../lib/format.js';
import { attempt, notify } from '../../state/notices.js';
import { href, param, projectId } from '../../state/route.js';
import { Action, Empty, Loaded, Table, Time } from '../../ui/index.js';
import { useList, useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { FieldErrors } from './type.js';

type Cause = Schemas['QuarantineCause'];
type Reason = Schemas['QuarantineReason'];

const text = words.events;

const hrefOf = ({ category, name, reason }: Cause) => href(['events', 'quarantine'], { category, name, reason });

/** Replays everything of a cause, part after part. */
async function replay(cause: { category: string; name: string; reason?: Reason | undefined }, isDry: boolean): Promise<Schemas['Replay']> {
  const sum = { replayed: 0, still_failing: 0, next_cursor: null as string | null };
  do {
    const body = { project_id: projectId.value!, ...cause, dry_run: isDry, cursor: sum.next_cursor };
    const part = await api.post('/events/quarantine/replay', { body });
    sum.replayed += part.replayed;
    sum.still_failing += part.still_failing;
    sum.next_cursor = part.next_cursor ?? null;
  } while (sum.next_cursor);
  return sum;
}

export function Quarantine() {
  const load = useLoad(projectId.value, () => api.get('/events/quarantine/causes', { query: { project_id: projectId.value! } }));
  const category = param('category');
  const name = param('name');
  if (category && name) return <CauseEvents category={category} name={name} reason={(param('reason') ?? undefined) as Reason | undefined} />;
  return (
    <Loaded load={load}>
      {({ causes }) => (causes.length === 0
        ? <Empty title={text.noQuarantine}><p>{text.noQuarantineText}</p></Empty>
        : <Table caption={text.tabs.quarantine} rows={causes} rowKey={(cause) => `${cause.category}/${cause.name}/${cause.reason}`} columns={CAUSES} />)}
    </Loaded>
  );
}

const CAUSES = [
  { title: text.columns.type, cell: (cause: Cause) => <a href={hrefOf(cause)}>{cause.category} / {cause.name}</a> },
  { title: text.columns.reason, cell: ({ reason }: Cause) => text.reasons[reason] },
  { title: text.columns.events, isNumber: true, cell: ({ events }: Cause) => number(events) },
  { title: text.columns.first, isWideOnly: true, cell: ({ first_at }: Cause) => <Time at={first_at} relative /> },
  { title: text.columns.last, cell: ({ last_at }: Cause) => <Time at={last_at} relative /> },
];

function CauseEvents({ category, name, reason }: { category: string; name: string; reason?: Reason | undefined }) {
  const [verdict, setVerdict] = useState<Schemas['Replay'] | null>(null);
  const list = useList(`${category}/${name}/${reason}`, async (cursor) => {
    const page = await api.get('/events/quarantine', { query: { project_id: projectId.value!, category, name, reason, cursor, limit: 20 } });
    return { entries: page.events, next: page.next_cursor };
  });
  const run = (isDry: boolean) => attempt(async () => {
    const found = await replay({ category, name, reason }, isDry);
    setVerdict(isDry ? found : null);
    if (isDry) return;
    notify(text.replayed(found.replayed, found.still_failing));
    list.reload();
  });
  return (
    <>
      <p><a href={href(['events', 'quarantine'])}>‹ {text.tabs.quarantine}</a></p>
      <section class="card">
        <h3>{category} / {name}{reason && <small class="hint"> · {text.reasons[reason]}</small>}</h3>
        <p>{reason ? text.fix[reason] : text.fix.schema} {reason !== 'unknown_image' && <a href={href(['events', 'types', category, name])}>{text.openType}</a>}</p>
        <div class="line">
          <Action run={() => run(true)}>{text.dryRun}</Action>
          <Action class="primary" run={() => run(false)}>{text.replay}</Action>
          {verdict && <p role="status">{text.wouldReplay(verdict.replayed, verdict.still_failing)}</p>}
        </div>
      </section>
      <Loaded load={list}>
        {() => (
          <Table
            caption={text.tabs.quarantine} rows={list.entries} more={list.more} empty={text.noneLeft} rowKey={({ event_id }) => event_id}
            columns={[
              { title: text.columns.received, cell: ({ received_at }) => <Time at={received_at} relative /> },
              { title: text.columns.why, cell: ({ errors }) => <FieldErrors errors={errors as Record<string, string[]>} /> },
              { title: text.columns.data, cell: ({ data }) => <code class="wrap">{JSON.stringify(data)}</code> },
            ]}
          />
        )}
      </Loaded>
    </>
  );
}
