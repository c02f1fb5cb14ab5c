/** The settings: applications and keys, the project, visitors' uploads, erasures, failed jobs, the system. */

import { href, projectId, route } from '../../state/route.js';
import { Tabs } from '../../ui/index.js';
import { words } from '../../words/index.js';
import { Applications } from './applications.js';
import { Erasures } from './erasures.js';
import { Jobs } from './jobs.js';
import { ProjectSettings } from './project.js';
import { System } from './system.js';
import { Uploads } from './uploads.js';

const text = words.settings;
const TABS = { applications: Applications, project: ProjectSettings, uploads: Uploads, erasures: Erasures, jobs: Jobs, system: System };

export function SettingsPage() {
  const tab = (route.value.path[1] ?? 'applications') as keyof typeof TABS;
  const Shown = TABS[tab] ?? Applications;
  const tabs = Object.keys(TABS) as (keyof typeof TABS)[];
  return (
    <div class="page">
      <div class="bar page-head">
        <h2 class="title">{words.nav.settings}</h2>
        <Tabs label={text.tabs.label} open={tab} tabs={tabs.map((each) => [each, text.tabs[each], href(['settings', each])])} />
      </div>
      <Shown key={projectId.value} />
    </div>
  );
}
