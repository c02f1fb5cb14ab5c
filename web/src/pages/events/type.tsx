/** One type of events: its schema, what happens to events that do not fit, and a field to try data in. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { notify } from '../../state/notices.js';
import { go, href, projectId } from '../../state/route.js';
import { Field, Form, SelectField, TextField } from '../../ui/form.js';
import { Confirm, Loaded, Problem } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';

type EventType = Schemas['EventType'];

const text = words.events;
const EXAMPLE = { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] };

/** Reads JSON from a field; the error says where it is wrong. */
function parseJson(what: string): unknown {
  try {
    return JSON.parse(what);
  } catch (error) {
    throw new Error(text.noJson((error as Error).message));
  }
}

export function EditType({ category, name }: { category: string; name: string }) {
  const path = { category, name };
  const query = { project_id: projectId.value! };
  const load = useLoad<EventType | 'new'>(`${category}/${name}`, async () => {
    if (!name) return 'new';
    return api.get('/event-types/{category}/{name}', { path, query }).catch((error: { status?: number }) => {
      // Events of a type can come without anybody having declared it.
      if (error.status === 404) return 'new' as const;
      throw error;
    });
  });
  return <Loaded load={load}>{(found) => <Editor category={category} name={name} found={found === 'new' ? null : found} onSaved={(saved) => load.set(saved)} />}</Loaded>;
}

function Editor({ category, name, found, onSaved }: { category: string; name: string; found: EventType | null; onSaved: (type: EventType) => void }) {
  const [isDeleting, setDeleting] = useState(false);
  const query = { project_id: projectId.value! };
  const save = async (values: Record<string, string>) => {
    const schema = values['schema']!.trim();
    const body = {
      schema: schema ? (parseJson(schema) as EventType['schema']) : null,
      on_invalid: values['on_invalid'] as EventType['on_invalid'],
      description: values['description']!.trim() || null,
    };
    const path = { category: values['category']?.trim() ?? category, name: values['name']?.trim() ?? name };
    if (!path.category || !path.name) throw new Error(text.nameNeeded);
    const saved = await api.put('/event-types/{category}/{name}', { path, query, body });
    notify([words.saved, ...(saved.warnings ?? [])].join(' '));
    if (name) onSaved(saved);
    else go(href(['events', 'types', path.category, path.name]), { replace: true });
  };
  const remove = async () => {
    await api.delete('/event-types/{category}/{name}', { path: { category, name }, query });
    go(href(['events', 'types']));
  };
  return (
    <>
      <p><a href={href(['events', 'types'])}>‹ {text.tabs.types}</a></p>
      <div class="cards">
        <section class="card">
          <h3>{name ? `${category} / ${name}` : text.newType}{found && <small class="hint"> · {text.version(found.version)}</small>}</h3>
          <Form onSubmit={save} submit={words.save}>
            {!name && <TextField name="category" label={text.columns.category} placeholder="shop" maxLength={200} />}
            {!name && <TextField name="name" label={text.columns.name} placeholder="checkout" maxLength={200} />}
            <TextField name="description" label={text.description} defaultValue={found?.description ?? ''} />
            <SelectField name="on_invalid" label={text.columns.onInvalid} value={found?.on_invalid ?? 'quarantine'} options={Object.entries(text.onInvalid)} />
            <Field name="schema" label={text.columns.schema} hint={text.schemaHint}>
              {(control) => <textarea {...control} class="mono" rows={14} spellcheck={false} defaultValue={found ? (found.schema === null ? '' : JSON.stringify(found.schema, null, 2)) : JSON.stringify(EXAMPLE, null, 2)} />}
            </Field>
          </Form>
          {found && <button type="button" class="link danger" onClick={() => setDeleting(true)}>{text.deleteType}…</button>}
        </section>
        {found && <Try category={category} name={name} />}
      </div>
      {isDeleting && <Confirm title={text.deleteType} action={words.delete} run={remove} onClose={() => setDeleting(false)}><p>{text.deleteTypeText}</p></Confirm>}
    </>
  );
}

function Try({ category, name }: { category: string; name: string }) {
  const [verdict, setVerdict] = useState<Schemas['EventDataVerdict'] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const run = async ({ data }: Record<string, string>) => {
    setVerdict(null);
    setError(null);
    const body = { data: parseJson(data!) as Record<string, never> };
    setVerdict(await api.post('/event-types/{category}/{name}/try', { path: { category, name }, query: { project_id: projectId.value! }, body }));
  };
  return (
    <section class="card">
      <h3>{text.try}</h3>
      <Form onSubmit={run} submit={text.try}>
        <Field name="data" label={text.columns.data} hint={text.tryHint}>
          {(control) => <textarea {...control} class="mono" rows={6} spellcheck={false} defaultValue={'{\n  "path": "/"\n}'} />}
        </Field>
      </Form>
      {error ? <Problem error={error} /> : null}
      <div role="status">
        {verdict?.valid && <p class="good">{text.fits(verdict.version)}</p>}
        {verdict && !verdict.valid && <FieldErrors errors={verdict.errors as Record<string, string[]>} />}
      </div>
    </section>
  );
}

/** Errors by field, as a list. */
export function FieldErrors({ errors }: { errors: Record<string, string[]> }) {
  return (
    <ul class="problem">
      {Object.entries(errors).map(([field, sentences]) => <li key={field}>{field && <code>{field}</code>} {[sentences].flat().join(' ')}</li>)}
    </ul>
  );
}
