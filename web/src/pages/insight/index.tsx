/** The insight page: a dashboard that answers first, and the reports. */

import { warmUps } from '../../lib/format.js';
import { soon } from '../../lib/soon.js';
import { href, route } from '../../state/route.js';
import { Tabs } from '../../ui/index.js';
import { later } from '../../ui/later.js';
import { words } from '../../words/index.js';
import { Dashboard } from './dashboard.js';

// While the server answers.
for (const warmUp of warmUps) soon(warmUp);

const text = words.insight;

const TABS = {
  dashboard: Dashboard,
  pictures: later(async () => (await import('./pictures.js')).Pictures),
  features: later(async () => (await import('./features.js')).Features),
  paths: later(async () => (await import('./paths.js')).Paths),
  funnel: later(async () => (await import('./funnel.js')).Funnel),
  retention: later(async () => (await import('./retention.js')).Retention),
  sql: later(async () => (await import('./sql.js')).Sql),
};
/** Parameters that stay in the address from one report to the next. */
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
