/** The photos of a gallery in their order, moving live; selecting them; and one of them, large. */

import { useEffect, useMemo, useState } from 'preact/hooks';
import { PAGE } from '../../lib/order.js';
import { demoApplication, type Gallery } from '../../state/project.js';
import { go, hrefWith, param } from '../../state/route.js';
import { Copyable, Empty, Icon, Loading, Problem, Choice } from '../../ui/index.js';
import { words } from '../../words/index.js';
import { hide, remove } from './actions.js';
import { MoveImages } from './dialogs.js';
import { Grid } from './grid.js';
import { Lightbox } from './lightbox.js';
import { OpenGallery } from './model.js';
import { Glyph } from './tile.js';

const text = words.gallery;

export function Photos({ shown }: { shown: Gallery }) {
  const order = param('order');
  const open = useMemo(() => new OpenGallery(shown.gallery_id, order), [shown.gallery_id, order]);
  useEffect(() => () => open.close(), [open]);
  const items = open.shown;
  const { items: list } = open;
  // The order is followed as long as nothing beyond the first page is on screen.
  const follow = (isWithin: (count: number) => boolean) => (open.isNearTop = () => isWithin(PAGE));
  const photo = param('photo');
  useEffect(() => open.hold(photo !== null), [open, photo]);
  const orders = Object.entries(text.orders);
  const hint = demoApplication.value ? text.hintDemo : text.hint;
  return (
    <>
      <div class="bar" hidden={list.loaded && items.length === 0}>
        <Legend />
        <div class="right"><Choice label={text.orderLabel} name="order" options={orders} value={order ?? ''} onChange={(value) => go(hrefWith({ order: value || null }))} /></div>
      </div>
      {items.length > 1 && list.strategy && <p class="hint">{hint(text.strategies[list.strategy] ?? list.strategy)}</p>}
      {list.error ? <Problem error={list.error} retry={() => void list.refresh()} /> : null}
      {!list.loaded && !list.error ? <Loading /> : null}
      {list.loaded && items.length === 0 ? (
        <Empty title={text.empty}>
          <p>{text.emptyText}</p>
          <p class="hint">{words.upload.formats}</p>
          <button type="button" class="primary" onClick={() => document.getElementById('upload')!.click()}><Icon name="up" />{words.upload.add}</button>
        </Empty>
      ) : null}
      <Grid
        label={shown.name} items={items} hasMore={list.hasMore} onMore={() => void list.more()}
        selected={open.selected.value} onSelect={(selected) => (open.selected.value = selected)}
        hrefOf={({ image_id }) => hrefWith({ photo: image_id })} onPlaced={follow}
      />
      {open.hasNewer.value && <button type="button" class="primary newer" onClick={() => open.showNewest()}>{text.moved}</button>}
      {items.length > 0 && <Code shown={shown} />}
      <Selection open={open} />
      {photo && <Lightbox key="lightbox" open={open} id={photo} />}
    </>
  );
}

function Legend() {
  return (
    <p class="legend">
      <span><Glyph name="weight" />{words.photo.weight}</span>
      <span><Glyph name="eye" />{words.photo.views}</span>
      <span><Glyph name="click" />{words.photo.clicks}</span>
    </p>
  );
}

/** The actions on the selected photos. */
function Selection({ open }: { open: OpenGallery }) {
  const [isMoving, setMoving] = useState(false);
  const ids = [...open.selected.value];
  if (ids.length === 0) return null;
  const done = () => {
    open.selected.value = new Set();
    void open.items.refresh();
  };
  const actions: [icon: 'hide' | 'trash', label: string, run: () => void][] = [
    ['hide', words.photo.hide, () => void hide(open.id, ids, done)],
    ['trash', words.photo.delete, () => (remove(ids, () => void open.items.refresh()), (open.selected.value = new Set()))],
  ];
  return (
    <div class="selection" role="toolbar" aria-label={text.selected(ids.length)}>
      <strong aria-live="polite">{text.selected(ids.length)}</strong>
      <button type="button" class="quiet" onClick={() => setMoving(true)}><Icon name="move" />{words.photo.move}</button>
      {actions.map(([icon, label, run]) => <button key={icon} type="button" class="quiet" onClick={run}><Icon name={icon} />{label}</button>)}
      <button type="button" class="icon-button" aria-label={text.clearSelection} onClick={() => (open.selected.value = new Set())}><Icon name="close" /></button>
      {isMoving && <MoveImages ids={ids} from={open.id} onClose={() => setMoving(false)} onMoved={done} />}
    </div>
  );
}

function Code({ shown }: { shown: Gallery }) {
  const sample = `curl -H "Authorization: Bearer $EYELINE_KEY" \\\n  ${location.origin}/api/v1/galleries/${shown.gallery_id}/images?limit=20`;
  return (
    <details class="code">
      <summary>{text.code}</summary>
      <dl class="facts"><dt>project_id</dt><dd>{shown.project_id}</dd><dt>gallery_id</dt><dd>{shown.gallery_id}</dd></dl>
      <Copyable block label={text.code} text={sample} />
    </details>
  );
}
