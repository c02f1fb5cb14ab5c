/** The events page: what arrives, what may arrive, and what does not count. */

import { href, route } from '../../state/route.js';
import { Tabs } from '../../ui/index.js';
import { words } from '../../words/index.js';
import { LiveTail } from './live.js';
import { Quarantine } from './quarantine.js';
import { Types } from './types.js';

const text = words.events;
const TABS = { live: LiveTail, types: Types, quarantine: Quarantine };

export function EventsPage() {
  const tab = (route.value.path[1] ?? 'live') as keyof typeof TABS;
  const Shown = TABS[tab] ?? LiveTail;
  const tabs = Object.keys(TABS) as (keyof typeof TABS)[];
  return (
    <div class="page">
      <div class="bar page-head">
        <h2 class="title">{words.nav.events}</h2>
        <Tabs label={text.tabs.label} open={tab} tabs={tabs.map((each) => [each, text.tabs[each], href(['events', each])])} />
      </div>
      <Shown />
    </div>
  );
}
