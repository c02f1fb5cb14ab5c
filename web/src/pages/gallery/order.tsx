/** The settings of a gallery's order: the strategy and estimates of others, the hold-out, the guard, and the rules. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { change, number, percent } from '../../lib/format.js';
import { notify } from '../../state/notices.js';
import { keepGallery, type Gallery } from '../../state/project.js';
import { CheckField, Form, SelectField, TextField } from '../../ui/form.js';
import { Action, Loaded } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { Arrange } from './arrange.js';
import { RulesEditor } from './rules.js';

/** The application has a key: it gets every field. */
type Ranking = Required<Gallery['ranking']>;
type Strategy = Ranking['strategy'];

const text = words.order;
const STRATEGIES = Object.keys(text.strategies) as (keyof typeof text.strategies)[];

export function Order({ shown }: { shown: Gallery }) {
  const save = async (ranking: Schemas['RankingChange']) => {
    const changed = await api.patch('/galleries/{gallery_id}', { path: { gallery_id: shown.gallery_id }, body: { ranking } });
    keepGallery(changed);
    notify(changed.published ? text.published : text.publishing);
  };
  return (
    <div class="order-cards">
      <StrategyCard shown={shown} onSave={save} />
      <HoldoutCard key={JSON.stringify(shown.ranking)} shown={shown} onSave={save} />
      <RulesEditor galleryId={shown.gallery_id} />
    </div>
  );
}

interface CardProps {
  shown: Gallery;
  onSave: (ranking: Schemas['RankingChange']) => Promise<void>;
}

function StrategyCard({ shown, onSave }: CardProps) {
  const [isArranging, setArranging] = useState(false);
  const { strategy, view_weight, click_weight, half_life } = shown.ranking;
  const save = async (values: Record<string, string>) => onSave({
    view_weight: Number(values['view_weight']), click_weight: Number(values['click_weight']),
    half_life: values['half_life'] ? Number(values['half_life']) : null,
  });
  return (
    <section class="card">
      <h3>{text.strategy}</h3>
      <ul class="strategies">
        {STRATEGIES.map((each) => (
          <li key={each} class={each === strategy ? 'chosen' : undefined}>
            <div><strong>{text.strategies[each].name}</strong><p class="hint">{text.strategies[each].text}</p></div>
            {each === 'manual' && <button type="button" class="quiet" onClick={() => setArranging(true)}>{text.arrange.open}</button>}
            {each === strategy ? <span class="good">{text.inUse}</span> : <Other galleryId={shown.gallery_id} strategy={each} onChoose={() => onSave({ strategy: each })} />}
          </li>
        ))}
      </ul>
      <details>
        <summary>{text.numbers}</summary>
        <Form onSubmit={save} submit={words.save} class="form inline">
          <TextField name="view_weight" label={text.viewWeight} type="number" min={0} defaultValue={String(view_weight)} />
          <TextField name="click_weight" label={text.clickWeight} type="number" min={0} defaultValue={String(click_weight)} />
          <TextField name="half_life" label={text.halfLife} type="number" min={0} step="any" placeholder="14" defaultValue={half_life === null ? '' : String(half_life)} />
        </Form>
      </details>
      {isArranging && <Arrange galleryId={shown.gallery_id} strategy={strategy} use={(wanted) => onSave({ strategy: wanted })} onClose={() => setArranging(false)} />}
    </section>
  );
}

/** Another strategy: its estimated effect on request, and a button that takes it. */
function Other({ galleryId, strategy, onChoose }: { galleryId: string; strategy: Strategy; onChoose: () => Promise<void> }) {
  const [found, setFound] = useState<Schemas['OrderEstimate'] | null>(null);
  const { name } = text.strategies[strategy];
  const ask = async () => setFound(await api.get('/galleries/{gallery_id}/estimate', { path: { gallery_id: galleryId }, query: { order: strategy } }));
  return (
    <div class="other">
      {found && <p role="status">{estimateWords(found)}</p>}
      <div class="line end">
        {!found && <Action class="quiet" run={ask} aria-label={`${text.estimate}: ${name}`}>{text.estimate}</Action>}
        <Action run={onChoose} aria-label={`${text.use}: ${name}`}>{text.use}</Action>
      </div>
    </div>
  );
}

const between = (interval: number[] | null | undefined): [string, string] => [change(interval?.[0] ?? 0), change(interval?.[1] ?? 0)];

function estimateWords({ enough_data, lift, interval, message }: Schemas['OrderEstimate']): string {
  if (!enough_data || lift === null) return text.unsure(message ?? '');
  return text.wouldBring(change(lift), ...between(interval));
}

function HoldoutCard({ shown, onSave }: CardProps) {
  const { holdout_percent, holdout_control, guard } = shown.ranking as Ranking;
  const path = { gallery_id: shown.gallery_id };
  const load = useLoad(shown.gallery_id, () => api.get('/galleries/{gallery_id}/experiment', { path }));
  const save = (values: Record<string, string>) => onSave({
    holdout_percent: Number(values['holdout_percent']),
    holdout_control: values['holdout_control'] as Ranking['holdout_control'],
    guard: values['guard'] === 'on',
  });
  return (
    <section class="card">
      <h3>{text.holdout}</h3>
      <p class="hint">{text.holdoutText}</p>
      <Form onSubmit={save} submit={words.save}>
        <TextField name="holdout_percent" label={text.holdoutPercent} type="number" min={0} max={50} defaultValue={String(holdout_percent)} />
        <SelectField name="holdout_control" label={text.holdoutControl} value={holdout_control} options={Object.entries(text.controls)} />
        <CheckField name="guard" label={text.guard} hint={text.guardHint} isOn={guard} />
      </Form>
      {holdout_percent > 0 && <Loaded load={load}>{(found) => <Result found={found} />}</Loaded>}
    </section>
  );
}

function Result({ found: { lift, interval, enough_data, message, sample_ratio, treatment, control } }: { found: Schemas['Experiment'] }) {
  const told = !enough_data || lift === null ? text.unsure(message ?? '') : text.brings(change(lift), ...between(interval));
  const rate = ({ clicks_per_session }: Schemas['ExperimentArm']) => (clicks_per_session === null ? '–' : clicks_per_session.toLocaleString(undefined, { maximumFractionDigits: 2 }));
  return (
    <>
      <p><strong>{told}</strong></p>
      {!sample_ratio.ok && <p class="problem">{text.ratio(percent(sample_ratio.expected_control), percent(sample_ratio.observed_control ?? 0))}</p>}
      <dl class="facts">
        {[treatment, control].map((arm) => (
          <div key={arm.strategy}><dt>{text.strategies[arm.strategy].name}</dt><dd>{text.arm(number(arm.visitors), number(arm.clicks), rate(arm))}</dd></div>
        ))}
      </dl>
    </>
  );
}
