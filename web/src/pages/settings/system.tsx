/** The server itself: its engines, its work, its disk, and a fresh sign-in link. */

import { useEffect, useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { metricsText, readiness } from '../../api/http.js';
import { bytes, number, plural } from '../../lib/format.js';
import { parseMetrics, sumOf, type Metrics } from '../../lib/metrics.js';
import { Action, Copyable, Loaded, Time } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';

type Readiness = Schemas['Readiness'];

const text = words.settings.system;
const LOOK_MS = 5000;

export function System() {
  const load = useLoad('system', async () => {
    const [state, metrics] = await Promise.all([readiness<Readiness>(), metricsText()]);
    return { state, metrics: parseMetrics(metrics) };
  });
  const { reload } = load;
  useEffect(() => {
    const timer = setInterval(() => document.hidden || reload(), LOOK_MS);
    return () => clearInterval(timer);
  }, [reload]);
  return (
    <div class="cards">
      <Loaded load={load}>
        {({ state, metrics }) => (
          <>
            <Engines state={state} />
            <Work metrics={metrics} />
            <Storage metrics={metrics} />
            <Server state={state} metrics={metrics} />
          </>
        )}
      </Loaded>
      <SignInLink />
    </div>
  );
}

function Engines({ state: { ready, stopping, engines, troubles, warnings } }: { state: Readiness }) {
  return (
    <section class="card">
      <h3>{text.engines}</h3>
      <p class={ready ? 'good' : 'problem'}>{ready ? text.ready : stopping ? text.stopping : text.notReady}</p>
      {troubles.map((trouble) => <p key={trouble} class="problem">{trouble}</p>)}
      {warnings.map((warning) => <p key={warning}>{warning}</p>)}
      <dl class="facts">
        {engines.map(({ name, reachable, required }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class={reachable ? 'good' : required ? 'problem' : ''}>{reachable ? text.reachable : required ? text.unreachable : text.slower}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** Facts whose value is known. */
function Facts({ rows }: { rows: [label: string, value: string | null][] }) {
  return <dl class="facts">{rows.map(([label, value]) => value !== null && <div key={label}><dt>{label}</dt><dd>{value}</dd></div>)}</dl>;
}

const told = (value: number | null, say: (value: number) => string): string | null => (value === null ? null : say(value));

/** What waits in queues. */
function Work({ metrics }: { metrics: Metrics }) {
  const kinds = [...new Set((metrics.get('eyeline_jobs') ?? []).map(({ labels }) => labels['kind']!))];
  const jobs = kinds.map((kind): [string, string] => {
    const states = metrics.get('eyeline_jobs')!.filter(({ labels }) => labels['kind'] === kind);
    const name = text.kinds[kind as keyof typeof text.kinds] ?? kind;
    return [name, states.map(({ labels, value }) => `${number(value)} ${text.jobStates[labels['state'] as keyof typeof text.jobStates] ?? labels['state']}`).join(', ')];
  });
  return (
    <section class="card">
      <h3>{text.work}</h3>
      <Facts
        rows={[
          ...(jobs.length ? jobs : [[text.jobs, text.noJobs] as [string, string]]),
          [text.photosWaiting, told(sumOf(metrics, 'eyeline_decode_photos_waiting'), number)],
          [text.eventsWaiting, told(sumOf(metrics, 'eyeline_inbox_waiting'), number)],
          [text.erasures, told(sumOf(metrics, 'eyeline_erasures_under_way'), number)],
        ]}
      />
    </section>
  );
}

function Storage({ metrics }: { metrics: Metrics }) {
  const [free, all] = ['free', 'all'].map((state) => sumOf(metrics, 'eyeline_disk_bytes', { state }));
  const [files, events, size] = ['files', 'events', 'bytes'].map((name) => sumOf(metrics, `eyeline_lake_${name}`));
  return (
    <section class="card">
      <h3>{text.storage}</h3>
      <Facts
        rows={[
          [text.disk, free != null && all ? text.free(bytes(free), bytes(all)) : null],
          [text.lake, files != null && events != null && size != null ? text.inFiles(plural(events, 'event'), plural(files, 'file'), bytes(size)) : null],
          [text.fresh, told(sumOf(metrics, 'eyeline_lake_waiting'), (count) => plural(count, 'event'))],
          [text.orders, told(sumOf(metrics, 'eyeline_orders_bytes'), bytes)],
        ]}
      />
      {free != null && all ? <meter aria-label={text.disk} min={0} max={all} low={all * 0.1} high={all * 0.2} optimum={all} value={free} /> : null}
    </section>
  );
}

function Server({ state, metrics }: { state: Readiness; metrics: Metrics }) {
  const version = metrics.get('eyeline_build_info')?.[0]?.labels['version'] ?? null;
  const confined = [...metrics].filter(([name]) => /^eyeline_\w+_confined$/.test(name));
  const walls = confined.map(([name, samples]): [string, string] => {
    const broken = samples.filter(({ value }) => value === 0).map(({ labels }) => labels['wall']);
    return [text.confined[name as keyof typeof text.confined] ?? name, broken.length ? text.without(broken.join(', ')) : text.all];
  });
  return (
    <section class="card">
      <h3>{text.server}</h3>
      <Facts rows={[[text.version, version], [text.roles, state.roles.join(', ')], ...walls]} />
      <p><a href="/licenses.txt">{text.licences}</a></p>
    </section>
  );
}

function SignInLink() {
  const [link, setLink] = useState<Schemas['SignInLink'] | null>(null);
  return (
    <section class="card">
      <h3>{text.link}</h3>
      <p>{text.linkHint}</p>
      {link && <Copyable label={text.link} text={link.url} />}
      {link && <p class="hint">{text.linkUntil} <Time at={link.expires_at} /></p>}
      <p><Action run={async () => setLink(await api.post('/session/links'))}>{text.linkMake}</Action></p>
    </section>
  );
}
