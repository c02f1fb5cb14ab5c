/** The server itself: its engines, and a fresh sign-in link. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { readiness } from '../../api/http.js';
import { Action, Copyable, Loaded, Time } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';

const text = words.settings.system;

export function System() {
  const [link, setLink] = useState<Schemas['SignInLink'] | null>(null);
  const load = useLoad('readiness', () => readiness<Schemas['Readiness']>());
  return (
    <div class="cards">
      <section class="card">
        <h3>{text.engines}</h3>
        <Loaded load={load}>
          {({ ready, stopping, engines, troubles, warnings }) => (
            <>
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
            </>
          )}
        </Loaded>
      </section>
      <section class="card">
        <h3>{text.link}</h3>
        <p>{text.linkHint}</p>
        {link && <Copyable label={text.link} text={link.url} />}
        {link && <p class="hint">{text.linkUntil} <Time at={link.expires_at} /></p>}
        <p><Action run={async () => setLink(await api.post('/session/links'))}>{text.linkMake}</Action></p>
      </section>
    </div>
  );
}
