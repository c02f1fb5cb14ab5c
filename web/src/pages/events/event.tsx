/** One event, what it was counted into, and a command that sends it again. */

import { api, type Schemas } from '../../api/index.js';
import { curlOf } from '../../lib/curl.js';
import { time } from '../../lib/format.js';
import { param } from '../../state/route.js';
import { Copyable, Dialog, Loaded, Time } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';

type Event = Schemas['EventWithReceipt'];

const text = words.events;

export function EventDialog({ id, event, onClose }: { id: string; event: Schemas['Event'] | null; onClose: () => void }) {
  const application = event?.application ?? param('application') ?? undefined;
  const load = useLoad<Event>(id, () => api.get('/events/{event_id}', { path: { event_id: id }, query: { application } }));
  return (
    <Dialog wide title={event ? `${event.category} / ${event.name}` : text.event} onClose={onClose}>
      <Loaded load={load}>
        {(found) => (
          <>
            <p>{receiptWords(found.receipt)}</p>
            {found.receipt.errors && <pre class="problem wrap">{JSON.stringify(found.receipt.errors, null, 2)}</pre>}
            <dl class="facts">
              <dt>event_id</dt><dd>{found.event_id}</dd>
              <dt>session_id</dt><dd>{found.session_id}</dd>
              <dt>application</dt><dd>{found.application}</dd>
              <dt>{text.columns.happened}</dt><dd><Time at={found.timestamp} /></dd>
              <dt>{text.columns.received}</dt><dd><Time at={found.received_at} /></dd>
            </dl>
            <pre class="wrap" tabIndex={0} aria-label={text.columns.data}>{JSON.stringify(found.data, null, 2)}</pre>
            <Copyable block label={text.curl} text={curlOf(location.origin, found)} />
          </>
        )}
      </Loaded>
    </Dialog>
  );
}

function receiptWords({ status, counted_in: counted, reason }: Schemas['EventReceipt']): string {
  if (status === 'waiting') return text.receipt.waiting;
  if (status === 'quarantined') return text.receipt.quarantined(text.reasons[reason ?? 'failed']);
  const day = counted ? time(counted.day, { dateStyle: 'long', timeZone: 'UTC' }) : '';
  return counted?.gallery ? text.receipt.gallery(counted.gallery.counter, day) : text.receipt.counted(day);
}
