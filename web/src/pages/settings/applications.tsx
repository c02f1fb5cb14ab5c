/** Applications and their keys. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { time } from '../../lib/format.js';
import { projectId } from '../../state/route.js';
import { Field, Form, SelectField, TextField } from '../../ui/form.js';
import { Confirm, Copyable, Dialog, Icon, Loaded, Time } from '../../ui/index.js';
import { useList } from '../../ui/load.js';
import { words } from '../../words/index.js';

type Application = Schemas['Application'];
type Secrets = Schemas['ApplicationSecrets'];
type Open = { kind: 'new' } | { kind: 'change' | 'rotate' | 'revoke'; application: Application } | { kind: 'secrets'; secrets: Secrets } | null;

const text = words.settings.applications;
const originsOf = (lines: string): string[] => lines.split(/[\s,]+/).filter(Boolean);

export function Applications() {
  const [open, setOpen] = useState<Open>(null);
  const list = useList(projectId.value, async (cursor) => {
    const page = await api.get('/applications', { query: { project_id: projectId.value!, limit: 50, cursor } });
    return { entries: page.applications, next: page.next_cursor };
  });
  const close = () => setOpen(null);
  const show = (secrets: Secrets) => (setOpen({ kind: 'secrets', secrets }), list.reload());
  return (
    <>
      <div class="bar">
        <p class="hint">{text.hint}</p>
        <button type="button" class="primary right" onClick={() => setOpen({ kind: 'new' })}><Icon name="add" />{text.new}</button>
      </div>
      <Loaded load={list}>
        {() => (
          <>
            {list.entries.length === 0 && <p class="none">{text.none}</p>}
            <ul class="cards">
              {list.entries.map((application) => <Card key={application.application_id} application={application} onOpen={(kind) => setOpen({ kind, application })} />)}
            </ul>
            {list.more && <p class="more"><button type="button" onClick={() => void list.more!()}>{words.more}</button></p>}
          </>
        )}
      </Loaded>
      {open?.kind === 'new' && <NewApplication onClose={close} onMade={show} />}
      {open?.kind === 'change' && <ChangeApplication application={open.application} onClose={close} onChanged={() => (close(), list.reload())} />}
      {open?.kind === 'rotate' && <RotateKey application={open.application} onClose={close} onRotated={show} />}
      {open?.kind === 'revoke' && <Revoke application={open.application} onClose={close} onRevoked={list.reload} />}
      {open?.kind === 'secrets' && <ShownSecrets secrets={open.secrets} onClose={close} />}
    </>
  );
}

function Card({ application, onOpen }: { application: Application; onOpen: (kind: 'change' | 'rotate' | 'revoke') => void }) {
  const { name, application_id, allowed_origins, created_at } = application;
  return (
    <li class="card">
      <h3>{name}</h3>
      <Copyable label={text.id} text={application_id} />
      <dl class="facts">
        <dt>{text.origins}</dt><dd>{allowed_origins.length ? allowed_origins.join(', ') : text.noOrigins}</dd>
        <dt>{text.created}</dt><dd><Time at={created_at} /></dd>
      </dl>
      <div class="line">
        <button type="button" onClick={() => onOpen('change')} aria-label={`${text.change}: ${name}`}>{text.change}</button>
        <button type="button" onClick={() => onOpen('rotate')} aria-label={`${text.rotate}: ${name}`}>{text.rotate}</button>
        <button type="button" class="quiet danger" onClick={() => onOpen('revoke')} aria-label={`${text.revoke}: ${name}`}>{text.revoke}</button>
      </div>
    </li>
  );
}

function Fields({ of }: { of?: Application }) {
  return (
    <>
      <TextField name="name" label={text.name} maxLength={200} defaultValue={of?.name} autofocus />
      <Field name="allowed_origins" label={text.origins} hint={text.originsHint}>
        {(control) => <textarea {...control} rows={3} spellcheck={false} defaultValue={of?.allowed_origins.join('\n')} />}
      </Field>
    </>
  );
}

function NewApplication({ onClose, onMade }: { onClose: () => void; onMade: (secrets: Secrets) => void }) {
  const make = async (values: Record<string, string>) => {
    const body = { project_id: projectId.value!, name: values['name']!.trim(), allowed_origins: originsOf(values['allowed_origins']!) };
    onMade(await api.post('/applications', { body }));
  };
  return <Dialog title={text.new} onClose={onClose}><Form onSubmit={make} submit={words.create} onCancel={onClose}><Fields /></Form></Dialog>;
}

function ChangeApplication({ application, onClose, onChanged }: { application: Application; onClose: () => void; onChanged: () => void }) {
  const save = async (values: Record<string, string>) => {
    const body = { name: values['name']!.trim(), allowed_origins: originsOf(values['allowed_origins']!) };
    await api.patch('/applications/{application_id}', { path: { application_id: application.application_id }, body });
    onChanged();
  };
  return <Dialog title={text.change} onClose={onClose}><Form onSubmit={save} submit={words.save} onCancel={onClose}><Fields of={application} /></Form></Dialog>;
}

function RotateKey({ application, onClose, onRotated }: { application: Application; onClose: () => void; onRotated: (secrets: Secrets) => void }) {
  const rotate = async ({ overlap_seconds, signing_secret }: Record<string, string>) => {
    const body = { overlap_seconds: Number(overlap_seconds), signing_secret: signing_secret === 'on' };
    onRotated(await api.post('/applications/{application_id}/rotate', { path: { application_id: application.application_id }, body }));
  };
  return (
    <Dialog title={`${text.rotate}: ${application.name}`} onClose={onClose}>
      <p>{text.rotateText}</p>
      <Form onSubmit={rotate} submit={text.rotate} onCancel={onClose}>
        <SelectField name="overlap_seconds" label={text.overlap} value="86400" options={Object.entries(text.overlaps)} />
        <label class="check"><input type="checkbox" name="signing_secret" />{text.signing}</label>
      </Form>
    </Dialog>
  );
}

function Revoke({ application, onClose, onRevoked }: { application: Application; onClose: () => void; onRevoked: () => void }) {
  const revoke = async () => {
    await api.delete('/applications/{application_id}', { path: { application_id: application.application_id } });
    onRevoked();
  };
  return <Confirm title={text.revoke} action={text.revoke} run={revoke} onClose={onClose}><p>{text.revokeText(application.name)}</p></Confirm>;
}

function ShownSecrets({ secrets, onClose }: { secrets: Secrets; onClose: () => void }) {
  return (
    <Dialog title={text.secretKey} onClose={onClose}>
      <p><strong>{text.secrets}</strong></p>
      {secrets.secret_key && <Copyable label={text.secretKey} text={secrets.secret_key} />}
      {secrets.signing_secret && <><h3>{text.signingSecret}</h3><Copyable label={text.signingSecret} text={secrets.signing_secret} /></>}
      {secrets.older_keys_until && <p class="hint">{text.until(time(secrets.older_keys_until))}</p>}
      <div class="line end"><button type="button" class="primary" onClick={onClose}>{text.done}</button></div>
    </Dialog>
  );
}
