/** The way of an image as a waterfall: its link, its file, its versions, its first view and its first click. */

import { api, type Schemas } from '../../api/index.js';
import { lasted } from '../../lib/format.js';
import { Loaded, Time } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';

const text = words.images.journey;

/** The id comes from the server, so it holds no quote. */
const question = (imageId: string) => `SELECT min(timestamp) FILTER (WHERE name = 'view') AS view, min(timestamp) FILTER (WHERE name = 'click') AS click
FROM events WHERE category = 'gallery' AND data->>'image_id' = '${imageId}'`;

export function Journey({ image: { image_id, project_id, created_at, arrived_at, prepared_at, url } }: { image: Schemas['Image'] }) {
  const load = useLoad<{ view: string | null; click: string | null }>(image_id, async () => {
    const { rows } = await api.post('/analytics/sql', { body: { project_id, query: question(image_id) } });
    return rows[0] as { view: string | null; click: string | null };
  });
  return (
    <section class="page">
      <h3>{text.title}</h3>
      <Loaded load={load}>
        {({ view, click }) => {
          // A picture of a dataset is served from its own address.
          const made = url ? [] : ([['arrived', arrived_at], ['prepared', prepared_at]] as const);
          const steps = [['link', created_at], ...made, ['view', view], ['click', click]] as const;
          const times = steps.flatMap(([, at]) => (at ? [Date.parse(at)] : []));
          const [first, last] = [Math.min(...times), Math.max(...times)];
          const share = (at: string) => (last > first ? (Date.parse(at) - first) / (last - first) : 0);
          return (
            <ol class="journey">
              {steps.map(([step, at], index) => {
                const before = steps[index - 1]?.[1];
                const from = at && before ? Math.min(share(before), share(at)) : 0;
                return (
                  <li key={step}>
                    <span>{text.steps[step]}</span>
                    <span class="hint">{at ? <Time at={at} /> : text.notYet}{at && before && ` · ${lasted(Date.parse(at) - Date.parse(before))}`}</span>
                    {at && before && <span class="hbar" style={{ marginLeft: `${100 * from}%`, width: `${100 * Math.abs(share(at) - share(before))}%` }} />}
                  </li>
                );
              })}
            </ol>
          );
        }}
      </Loaded>
    </section>
  );
}
