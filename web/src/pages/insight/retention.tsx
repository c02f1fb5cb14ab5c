/** Retention: visitors by the period they were first seen in, and the number seen again in each later one. */

import { api } from '../../api/index.js';
import { number, percent, time } from '../../lib/format.js';
import { go, hrefWith, param, projectId } from '../../state/route.js';
import { Empty, Loaded, Segments } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { zone } from './range.js';

const text = words.insight;
const PERIODS = ['day', 'week', 'month'] as const;

export function Retention() {
  const period = PERIODS.find((each) => each === param('period')) ?? 'week';
  const query = { project_id: projectId.value!, timezone: zone(), period };
  const load = useLoad(JSON.stringify(query), () => api.get('/analytics/retention', { query }));
  return (
    <>
      <div class="bar"><Segments label={text.period} name="period" value={period} options={PERIODS.map((each) => [each, text.periods[each]])} onChange={(value) => go(hrefWith({ period: value }))} /></div>
      <Loaded load={load}>
        {({ rows, note }) => {
          const later = Math.max(0, ...rows.map(({ returned }) => returned.length - 1));
          return (
            <>
              {note && <p class="hint">{note}</p>}
              {rows.length === 0 ? <Empty title={text.noVisitors}><p>{text.noVisitorsText}</p></Empty> : (
                <div class="table" tabIndex={0} role="region" aria-label={text.tabs.retention}>
                  <table class="cohorts">
                    <caption class="spoken">{text.tabs.retention}</caption>
                    <thead><tr><th scope="col">{text.firstSeen}</th><th scope="col" class="number">{text.visitors}</th>{Array.from({ length: later }, (_, at) => <th key={at} scope="col" class="number">+{at + 1}</th>)}</tr></thead>
                    <tbody>
                      {rows.map(({ cohort, visitors, returned }) => (
                        <tr key={cohort}>
                          <th scope="row">{time(cohort, { dateStyle: 'medium', timeZone: zone() })}</th>
                          <td class="number">{number(visitors)}</td>
                          {Array.from({ length: later }, (_, at) => returned[at + 1]).map((count, at) => (count === undefined
                            ? <td key={at} />
                            : <td key={at} class="number" style={{ '--share': visitors ? count / visitors : 0 }} title={number(count)}>{visitors ? percent(count / visitors) : '–'}</td>))}
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              )}
            </>
          );
        }}
      </Loaded>
    </>
  );
}
