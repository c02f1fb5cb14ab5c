/** The number of visits that reach each step. */

import { api } from '../../api/index.js';
import { percent } from '../../lib/format.js';
import { stepOf } from '../../lib/insight.js';
import { go, hrefWith, param, projectId } from '../../state/route.js';
import { Empty, Icon, Loaded } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { RangeBar, scope } from './range.js';

const text = words.insight;
const WITHIN = ['5m', '30m', '2h', '1d', '7d'] as const;
/** Between steps in the address; the steps themselves escape commas. */
const SEPARATOR = /(?<!\\),/;

export function Funnel() {
  const steps = (param('steps') ?? '').split(SEPARATOR).filter(Boolean);
  const within = WITHIN.find((each) => each === param('within')) ?? '30m';
  const project_id = projectId.value!;
  const known = useLoad(project_id, () => api.get('/analytics/features', { query: { project_id, limit: 500 } }));
  const query = { ...scope(project_id), steps: steps.join(','), within };
  const load = useLoad(steps.length > 1 ? JSON.stringify(query) : null, () => api.get('/analytics/funnel', { query }));
  const set = (next: string[]) => go(hrefWith({ steps: next.join(',') || null }));
  const options = (known.data?.rows ?? []).map((type) => [stepOf(type), `${type.category} / ${type.name}`] as const);
  const titleOf = (step: string) => options.find(([each]) => each === step)?.[1] ?? step;
  return (
    <>
      <div class="bar">
        <RangeBar />
        <label class="filter right"><span>{text.within}</span>
          <select value={within} onChange={(event) => go(hrefWith({ within: event.currentTarget.value }))}>
            {WITHIN.map((each) => <option key={each} value={each}>{text.withins[each]}</option>)}
          </select>
        </label>
      </div>
      <div class="bar steps">
        {steps.map((step, at) => (
          <span key={at} class="step">{titleOf(step)}<button type="button" class="icon-button" aria-label={text.removeStep(titleOf(step))} onClick={() => set(steps.filter((_, index) => index !== at))}><Icon name="close" /></button></span>
        ))}
        <select aria-label={text.addStep} value="" onChange={(event) => event.currentTarget.value && set([...steps, event.currentTarget.value])}>
          <option value="">{text.addStep}</option>
          {options.map(([step, title]) => <option key={step} value={step}>{title}</option>)}
        </select>
      </div>
      {steps.length < 2 ? <Empty title={text.funnelEmpty}><p>{text.funnelEmptyText}</p></Empty> : (
        <Loaded load={load}>
          {({ rows }) => (
            <ol class="funnel card">
              {rows.map(({ step, category, name, sessions, of_first, of_previous }) => (
                <li key={step}>
                  <span class="funnel-title"><strong>{category} / {name}</strong><span>{text.visitsOf(sessions)}{step > 1 && of_previous !== null && <> · {text.ofPrevious(percent(of_previous))}</>}</span></span>
                  <span class="hbar" style={{ width: `${100 * (of_first ?? (rows[0]!.sessions ? 1 : 0))}%` }} />
                  <small class="hint">{of_first === null ? '–' : text.ofFirst(percent(of_first))}</small>
                </li>
              ))}
            </ol>
          )}
        </Loaded>
      )}
    </>
  );
}
