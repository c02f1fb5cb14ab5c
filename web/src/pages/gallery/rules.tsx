/** The rules over a gallery's order: pins, boosts and exclusions, each with its time. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { time } from '../../lib/format.js';
import { attempt, notify } from '../../state/notices.js';
import { Form, SelectField, TextField } from '../../ui/form.js';
import { Action, Dialog, Icon, Loaded, Table } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { readRules, writeRules, type Rules } from './actions.js';

type Kind = 'pin' | 'boost' | 'exclude';
type Rule = Schemas['ExcludeRule'] & { position?: number; factor?: number };

interface Entry {
  kind: Kind;
  at: number;
  rule: Rule;
}

const text = words.rules;
const KINDS = Object.entries(text.kinds) as [Kind, string][];
/** Rules whose images are called by their names; the others show their ids. */
const NAMED_MAX = 50;

const entriesOf = (rules: Rules): Entry[] => KINDS.flatMap(([kind]) => rules[kind].map((rule, at) => ({ kind, at, rule })));

/** The names of the images that rules select, hidden ones too. */
async function namesOf(rules: Rules): Promise<Map<string, string>> {
  const ids = [...new Set(entriesOf(rules).flatMap(({ rule }) => rule.image_id ?? []))].slice(0, NAMED_MAX);
  const images = await Promise.all(ids.map((image_id) => api.get('/images/{image_id}', { path: { image_id } }).catch(() => null)));
  return new Map(images.flatMap((image) => (image ? [[image.image_id, image.filename]] : [])));
}

export function RulesEditor({ galleryId }: { galleryId: string }) {
  const [isAdding, setAdding] = useState(false);
  const load = useLoad(galleryId, async () => {
    const rules = await readRules(galleryId);
    return { rules, names: await namesOf(rules) };
  });
  const set = async (rules: Rules, before: Rules) => {
    await writeRules(galleryId, rules);
    load.reload();
    notify(words.saved, { action: { label: words.undo, run: () => void attempt(async () => (await writeRules(galleryId, before), load.reload())) } });
  };
  return (
    <section class="card whole">
      <div class="bar"><h3>{text.title}</h3><button type="button" class="right" onClick={() => setAdding(true)}><Icon name="add" />{text.add}</button></div>
      <p class="hint">{text.hint}</p>
      <Loaded load={load}>
        {({ rules, names }) => {
          const without = ({ kind, at }: Entry): Rules => ({ ...rules, [kind]: rules[kind].filter((_, index) => index !== at) });
          return (
            <>
              <Table
                caption={text.title} rows={entriesOf(rules)} empty={text.none} rowKey={({ kind, at }) => `${kind} ${at}`}
                columns={[
                  { title: text.what, cell: ({ kind, rule }) => text.does[kind](String(rule.position ?? rule.factor ?? '')) },
                  { title: text.which, cell: ({ rule }) => (rule.tag ? text.tagged(rule.tag) : (names.get(rule.image_id ?? '') ?? rule.external_id ?? rule.image_id)) },
                  { title: text.when, cell: ({ rule }) => periodWords(rule) },
                  { title: text.remove, cell: (entry) => <Action class="icon-button" aria-label={text.remove} run={() => set(without(entry), rules)}><Icon name="trash" /></Action> },
                ]}
              />
              {isAdding && <AddRule onClose={() => setAdding(false)} onAdd={(kind, rule) => set({ ...rules, [kind]: [...rules[kind], rule] }, rules)} />}
            </>
          );
        }}
      </Loaded>
    </section>
  );
}

function periodWords({ from, until }: Rule): string {
  if (!from && !until) return text.always;
  return [from && text.since(time(from)), until && text.until(time(until))].filter(Boolean).join(' ');
}

function AddRule({ onClose, onAdd }: { onClose: () => void; onAdd: (kind: Kind, rule: Rule) => Promise<void> }) {
  const [kind, setKind] = useState<Kind>('pin');
  const add = async ({ selector, value, from, until, amount }: Record<string, string>) => {
    // The field tells local time.
    const at = (local: string | undefined) => (local ? new Date(local).toISOString() : undefined);
    const rule: Rule = { [selector!]: value!.trim(), from: at(from), until: at(until) };
    if (kind === 'pin') rule.position = Number(amount);
    if (kind === 'boost') rule.factor = Number(amount);
    await onAdd(kind, rule);
    onClose();
  };
  return (
    <Dialog title={text.add} onClose={onClose}>
      <Form onSubmit={add} submit={words.save} onCancel={onClose}>
        <SelectField name="kind" label={text.what} value={kind} options={KINDS} onChange={(value) => setKind(value as Kind)} />
        {kind === 'pin' && <TextField name="amount" label={words.photo.pinRank} type="number" min={1} defaultValue="1" />}
        {kind === 'boost' && <TextField name="amount" label={text.factor} hint={text.factorHint} type="number" min={0.1} max={10} step="0.1" defaultValue="2" />}
        <SelectField name="selector" label={text.by} options={Object.entries(text.selectors)} />
        <TextField name="value" label={text.value} />
        <TextField name="from" label={words.from} type="datetime-local" />
        <TextField name="until" label={words.until} type="datetime-local" />
      </Form>
    </Dialog>
  );
}
