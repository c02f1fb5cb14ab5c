/** The panel beside a large photo: its facts, what can be done with it, and why it stands where it does. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { bytes, number } from '../../lib/format.js';
import { notify } from '../../state/notices.js';
import { Form, SelectField, TextField } from '../../ui/form.js';
import { Action, Icon, Loaded, Time } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { hide, readRules, remove, unpin } from './actions.js';
import { MoveImages, PinImage } from './dialogs.js';
import { nameOf, type Item, type OpenGallery } from './model.js';
import { Why } from './why.js';

type Image = Schemas['Image'];

const text = words.photo;
/** The link is the catalogue's: only web addresses are followed, never scripts. */
const isWebAddress = (link: string | null | undefined): link is string => /^https?:\/\//i.test(link ?? '');

export function PhotoPanel({ open, item, onGone }: { open: OpenGallery; item: Item; onGone: () => void }) {
  const [dialog, setDialog] = useState<'pin' | 'move' | null>(null);
  const id = item.image_id;
  const path = { image_id: id };
  const image = useLoad<Image>(id, () => api.get('/images/{image_id}', { path }));
  const rules = useLoad(id, () => readRules(open.id));
  const pinned = rules.data?.pin.find((rule) => rule.image_id === id);
  const changed = () => {
    rules.reload();
    void open.items.refresh();
  };
  const gone = () => {
    onGone();
    void open.items.refresh();
  };
  const close = () => setDialog(null);
  const original = image.data?.versions.original;
  const link = image.data?.link ?? item.link;
  const reprocess = async () => {
    await api.post('/images/{image_id}/reprocess', { path });
    notify(text.reprocessing);
  };
  return (
    <>
      <header>
        <h2>{nameOf(item) ?? words.gallery.unnamed}</h2>
        <p class="hint">{item.position ? text.rank(item.position) : text.unpublished}{pinned && ` · ${text.pinned(pinned.position)}`}</p>
        {isWebAddress(link) && <p><a href={link} target="_blank" rel="noopener noreferrer">{text.openLink}</a></p>}
      </header>
      <div class="figures">
        {([['weight', text.weight], ['views', text.views], ['clicks', text.clicks]] as const).map(([key, label]) => (
          <div key={key}><strong>{number(item[key] ?? 0)}</strong><span>{label}</span></div>
        ))}
      </div>
      <div class="actions">
        {/* With keys, because one button in the place of another would hand its work to its neighbour. */}
        {pinned
          ? <Action key="unpin" class="quiet" run={() => unpin(open.id, id, changed)}><Icon name="pin" />{text.unpin}</Action>
          : <button key="pin" type="button" class="quiet" onClick={() => setDialog('pin')}><Icon name="pin" />{text.pin}</button>}
        <Action class="quiet" run={async () => (await hide(open.id, [id], () => void open.items.refresh()), onGone())}><Icon name="hide" />{text.hide}</Action>
        <button type="button" class="quiet" onClick={() => setDialog('move')}><Icon name="move" />{text.move}</button>
        {original && <a class="quiet button" href={original} download={image.data?.filename}><Icon name="download" />{text.download}</a>}
        {original && <Action class="quiet" run={reprocess}><Icon name="reprocess" />{text.reprocess}</Action>}
        <button type="button" class="quiet danger" onClick={() => (remove([id], () => void open.items.refresh()), onGone())}><Icon name="trash" />{text.delete}</button>
      </div>
      <Why galleryId={open.id} imageId={id} />
      <section>
        <h3>{text.details}</h3>
        <Loaded load={image}>{(data) => <Details image={data} onSaved={(saved) => (image.set(saved), void open.items.refresh())} />}</Loaded>
      </section>
      {dialog === 'pin' && <PinImage id={id} galleryId={open.id} position={item.position ?? 1} onClose={close} onPinned={changed} />}
      {dialog === 'move' && <MoveImages ids={[id]} from={open.id} onClose={close} onMoved={gone} />}
    </>
  );
}

export function Details({ image, onSaved }: { image: Image; onSaved: (image: Image) => void }) {
  const save = async ({ name, link, tags, visibility, access_tier }: Record<string, string>) => {
    const body = {
      name: name!.trim() || null,
      link: link!.trim() || null,
      tags: tags!.split(',').map((tag) => tag.trim()).filter(Boolean),
      visibility: visibility as Image['visibility'],
      access_tier: access_tier as Image['access_tier'],
    };
    onSaved(await api.patch('/images/{image_id}', { path: { image_id: image.image_id }, body }));
    notify(words.saved);
  };
  return (
    <>
      <Form onSubmit={save} submit={words.save}>
        <TextField name="name" label={text.name} hint={text.nameHint} maxLength={500} defaultValue={image.name ?? ''} placeholder={image.filename} />
        <TextField name="link" label={text.link} hint={text.linkHint} type="url" inputMode="url" placeholder="https://" defaultValue={image.link ?? ''} />
        <TextField name="tags" label={text.tags} hint={text.tagsHint} defaultValue={image.tags.join(', ')} />
        <SelectField name="visibility" label={text.visibility} value={image.visibility} options={Object.entries(words.gallery.visibilities)} />
        <SelectField name="access_tier" label={text.tier} value={image.access_tier} options={Object.entries(words.gallery.tiers)} />
      </Form>
      <h3>{text.facts}</h3>
      <dl class="facts">
        <dt>{text.file}</dt><dd>{image.filename}</dd>
        {image.width && image.height ? <><dt>{text.size}</dt><dd>{image.width} × {image.height}{image.bytes ? ` · ${bytes(image.bytes)}` : ''}</dd></> : null}
        <dt>{text.added}</dt><dd><Time at={image.created_at} /></dd>
        <dt>image_id</dt><dd>{image.image_id}</dd>
      </dl>
    </>
  );
}
