/** A command that sends the first event, and a check that tells when it came. */

import { useEffect, useState } from 'preact/hooks';
import { uuid7 } from '../../../clients/js/src/shared/uuid.js';
import { api, type Schemas } from '../api/index.js';
import { createProject, listApplications, projects } from '../state/project.js';
import { Copyable, Loaded, Problem, Time } from '../ui/index.js';
import { useLoad } from '../ui/load.js';
import { words } from '../words/index.js';

const text = words.firstEvent;
const LOOK_MS = 2000;

/** The application of the newest project that a first event can be sent with, made if there is none. */
async function ownApplication(): Promise<{ project_id: string; application_id: string }> {
  const { project_id } = projects.value?.[0] ?? (await createProject(words.project.firstName));
  const known = (await listApplications(project_id))[0];
  if (known) return known;
  return api.post('/applications', { body: { project_id, name: text.application, allowed_origins: [] } });
}

const sample = (application: string, session: string) => `curl ${location.origin}/api/v1/events \\
  -H 'application: ${application}' -H 'Content-Type: application/json' \\
  -d '{"session_id": "${session}", "category": "page", "name": "visit",
       "data": {"path": "/"}, "timestamp": "${new Date().toISOString()}"}'`;

export function FirstEvent() {
  const [session] = useState(() => uuid7());
  const made = useLoad('application', ownApplication);
  return (
    <section class="card">
      <h3>{text.title}</h3>
      <Loaded load={made}>
        {({ application_id, project_id }) => (
          <>
            <p>{text.hint}</p>
            <Copyable block label={text.title} text={sample(application_id, session)} />
            <Check projectId={project_id} />
          </>
        )}
      </Loaded>
    </section>
  );
}

/** Looks for events, and for events that were quarantined, until one has come. */
function Check({ projectId }: { projectId: string }) {
  const [found, setFound] = useState<Schemas['Event'] | null>(null);
  const [failed, setFailed] = useState<Schemas['QuarantinedEvent'] | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    if (found) return;
    const look = async () => {
      const query = { project_id: projectId, limit: 1 };
      const [events, quarantined] = await Promise.all([api.get('/events', { query }), api.get('/events/quarantine', { query })]);
      setFound(events.events[0] ?? null);
      setFailed(quarantined.events[0] ?? null);
      setError(null);
    };
    const timer = setInterval(() => void look().catch(setError), LOOK_MS);
    return () => clearInterval(timer);
  }, [projectId, found]);
  if (error) return <Problem error={error} />;
  if (found) return <p class="good" role="status">{text.came} <strong>{found.category} / {found.name}</strong>, <Time at={found.received_at} /></p>;
  return (
    <div role="status">
      <p class="hint"><span class="spinner" aria-hidden="true" /> {text.waiting}</p>
      {failed && <p class="problem">{text.quarantined} {JSON.stringify(failed.errors)}</p>}
    </div>
  );
}
