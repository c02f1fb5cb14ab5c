/** Dialogs that make, change and delete galleries, and move and pin photos. */

import { useState } from 'preact/hooks';
import { api } from '../../api/index.js';
import { notify } from '../../state/notices.js';
import { dropGallery, galleries, keepGallery, type Gallery } from '../../state/project.js';
import { go, href, projectId } from '../../state/route.js';
import { Form, SelectField, TextField } from '../../ui/form.js';
import { Confirm, Dialog } from '../../ui/index.js';
import { words } from '../../words/index.js';
import { move, pin } from './actions.js';

const text = words.gallery;
const VISIBILITIES = Object.entries(text.visibilities);
const TIERS = Object.entries(text.tiers);

type Visibility = Gallery['visibility'];
type Tier = Gallery['access_tier'];

function Fields({ of }: { of?: Gallery }) {
  return (
    <>
      <TextField name="name" label={text.name} maxLength={200} defaultValue={of?.name} autofocus />
      <SelectField name="visibility" label={text.visibility} options={VISIBILITIES} value={of?.visibility} />
      <SelectField name="access_tier" label={text.tier} options={TIERS} value={of?.access_tier} />
    </>
  );
}

const bodyOf = ({ name, visibility, access_tier }: Record<string, string>) =>
  ({ name: name!.trim(), visibility: visibility as Visibility, access_tier: access_tier as Tier });

export function NewGallery({ onClose }: { onClose: () => void }) {
  const make = async (values: Record<string, string>) => {
    const made = await api.post('/galleries', { body: { project_id: projectId.value!, ...bodyOf(values) } });
    keepGallery(made);
    onClose();
    go(href(['gallery', made.gallery_id]));
  };
  return <Dialog title={text.new} onClose={onClose}><Form onSubmit={make} submit={words.create} onCancel={onClose}><Fields /></Form></Dialog>;
}

export function EditGallery({ shown, onClose }: { shown: Gallery; onClose: () => void }) {
  const [isDeleting, setDeleting] = useState(false);
  const path = { gallery_id: shown.gallery_id };
  const save = async (values: Record<string, string>) => {
    keepGallery(await api.patch('/galleries/{gallery_id}', { path, body: bodyOf(values) }));
    onClose();
  };
  const remove = async () => {
    await api.delete('/galleries/{gallery_id}', { path });
    dropGallery(shown.gallery_id);
    notify(text.deleted(shown.name));
    go(href(['gallery']), { replace: true });
  };
  if (isDeleting) return <Confirm title={text.delete} action={words.delete} run={remove} onClose={onClose}><p>{text.deleteText(shown.name)}</p></Confirm>;
  return (
    <Dialog title={text.edit} onClose={onClose}>
      <Form onSubmit={save} submit={words.save} onCancel={onClose}><Fields of={shown} /></Form>
      <button type="button" class="link danger" onClick={() => setDeleting(true)}>{text.delete}…</button>
    </Dialog>
  );
}

/** The choice of a gallery that is made with the move. */
const NEW = 'new';

export function MoveImages({ ids, from, onClose, onMoved }: { ids: string[]; from: string; onClose: () => void; onMoved: () => void }) {
  const others = (galleries.value ?? []).filter(({ gallery_id }) => gallery_id !== from);
  const [to, setTo] = useState(others[0]?.gallery_id ?? NEW);
  const go = async ({ name, keep }: Record<string, string>) => {
    const known = others.find(({ gallery_id }) => gallery_id === to);
    const target = known ?? (await api.post('/galleries', { body: { project_id: projectId.value!, name: name!.trim() } }));
    await move(ids, from, target, keep === 'on', onMoved);
    keepGallery(target);
    onClose();
  };
  const options: [string, string][] = [...others.map(({ gallery_id, name }): [string, string] => [gallery_id, name]), [NEW, words.photo.moveNew]];
  return (
    <Dialog title={words.photo.moveTitle(ids.length)} onClose={onClose}>
      <Form onSubmit={go} submit={words.photo.move.replace('…', '')} onCancel={onClose}>
        <SelectField name="to" label={words.photo.moveTo} options={options} value={to} onChange={setTo} />
        {to === NEW && <TextField name="name" label={words.photo.moveNewName} maxLength={200} autofocus />}
        <label class="check"><input type="checkbox" name="keep" />{words.photo.copyTo}</label>
      </Form>
    </Dialog>
  );
}

export function PinImage({ id, galleryId, position, onClose, onPinned }: { id: string; galleryId: string; position: number; onClose: () => void; onPinned: () => void }) {
  const go = async ({ position: wanted }: Record<string, string>) => {
    await pin(galleryId, id, Number(wanted), onPinned);
    onClose();
  };
  return (
    <Dialog title={words.photo.pinTitle} onClose={onClose}>
      <Form onSubmit={go} submit={words.photo.pin.replace('…', '')} onCancel={onClose}>
        <TextField name="position" label={words.photo.pinRank} hint={words.photo.pinHint} type="number" min={1} max={1_000_000} defaultValue={String(position)} autofocus />
      </Form>
    </Dialog>
  );
}
