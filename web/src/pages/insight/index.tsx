/** The insight page: a dashboard that answers first, and the reports. */

import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { href, route } from '../../state/route.js';
import { Loading, Problem, Tabs } from '../../ui/index.js';
import { words } from '../../words/index.js';
import { Dashboard } from './dashboard.js';
import { Features } from './features.js';
import { Funnel } from './funnel.js';
import { Paths } from './paths.js';
import { Pictures } from './pictures.js';
import { Retention } from './retention.js';

const text = words.insight;

/** The editor of the SQL page is large, and is loaded when the page is opened. */
function LaterSql() {
  const [Shown, setShown] = useState<ComponentType | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => void import('./sql.js').then(({ Sql }) => setShown(() => Sql), setError), []);
  if (Shown) return <Shown />;
  return error ? <Problem error={error} /> : <Loading />;
}

const TABS = { dashboard: Dashboard, pictures: Pictures, features: Features, paths: Paths, funnel: Funnel, retention: Retention, sql: LaterSql };
/** What stays in the address from one report to the next. */
const KEPT = ['days', 'from', 'to', 'timezone', 'compare', 'gallery'];

export function InsightPage() {
  const tab = (route.value.path[1] ?? 'dashboard') as keyof typeof TABS;
  const Shown = TABS[tab] ?? Dashboard;
  const { params } = route.value;
  const kept = Object.fromEntries(KEPT.map((name) => [name, params[name]]));
  const tabs = Object.keys(TABS) as (keyof typeof TABS)[];
  return (
    <div class="page">
      <div class="bar page-head">
        <h2 class="title">{words.nav.insight}</h2>
        <Tabs label={text.tabs.label} open={tab} tabs={tabs.map((each) => [each, text.tabs[each], href(['insight', each], kept)])} />
      </div>
      <Shown />
    </div>
  );
}
