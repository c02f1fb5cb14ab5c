/** Types of events by use, the most or the least used first. */

import { api } from '../../api/index.js';
import { number } from '../../lib/format.js';
import { go, hrefWith, param, projectId } from '../../state/route.js';
import { Empty, Loaded, Segments, Table } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { RangeBar, scope } from './range.js';

const text = words.insight;

export function Features() {
  const order = param('order') === 'least' ? 'least' : 'most';
  const query = { ...scope(projectId.value!), order, limit: 100 } as const;
  const load = useLoad(JSON.stringify(query), () => api.get('/analytics/features', { query }));
  return (
    <>
      <div class="bar">
        <RangeBar />
        <div class="right"><Segments label={text.featureOrder} name="order" value={order} options={[['most', text.most], ['least', text.least]]} onChange={(value) => go(hrefWith({ order: value }))} /></div>
      </div>
      <Loaded load={load}>
        {({ rows }) => {
          if (rows.length === 0) return <Empty title={text.nothing} />;
          const most = Math.max(1, ...rows.map(({ count }) => count));
          return (
            <Table
              caption={text.tabs.features} rows={rows} rowKey={({ category, name }) => `${category}/${name}`}
              columns={[
                { title: text.feature, cell: ({ category, name }) => `${category} / ${name}` },
                { title: text.share, isWideOnly: true, cell: ({ count }) => <span class="hbar" style={{ width: `${(100 * count) / most}%` }} /> },
                { title: text.events, isNumber: true, cell: ({ count }) => number(count) },
                { title: text.sessions, isNumber: true, cell: ({ sessions }) => number(sessions) },
              ]}
            />
          );
        }}
      </Loaded>
    </>
  );
}
