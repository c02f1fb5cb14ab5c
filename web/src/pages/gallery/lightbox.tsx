/** One photo, large, with what can be done with it beside. */

import { useEffect, useRef } from 'preact/hooks';
import { api } from '../../api/index.js';
import { paint } from '../../../../clients/js/src/shared/index.js';
import { ownClick } from '../../state/demo.js';
import { demoApplication } from '../../state/project.js';
import { go, hrefWith } from '../../state/route.js';
import { Icon, Problem } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { nameOf, type Item, type OpenGallery } from './model.js';
import { PhotoPanel } from './panel.js';

/** A finger has to travel this far sideways for a swipe, in CSS pixels. */
const SWIPE_PX = 60;
/** From this many photos before the end on, more are asked for. */
const MORE_WITHIN = 5;

export function Lightbox({ open, id }: { open: OpenGallery; id: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const touchX = useRef<number | null>(null);
  const items = open.shown;
  const index = items.findIndex((item) => item.image_id === id);
  // An address may name a photo that is further down than what was read.
  const path = { gallery_id: open.id, image_id: id };
  const single = useLoad<Item>(index < 0 && open.items.loaded ? id : null, () => api.get('/galleries/{gallery_id}/images/{image_id}', { path }));
  const item = items[index] ?? single.data;

  useEffect(() => {
    const shown = dialog.current!;
    if (!shown.open) shown.showModal();
    return () => document.querySelector<HTMLElement>(`.tile[data-id="${id}"] > a`)?.focus({ preventScroll: true });
  }, []);
  useEffect(() => {
    if (demoApplication.value && item) void ownClick(demoApplication.value, open.id, item).catch(() => {});
    if (index >= items.length - MORE_WITHIN) void open.items.more();
  }, [item?.image_id]);

  const close = () => go(hrefWith({ photo: null }));
  const step = (by: number) => {
    const next = items[index + by];
    if (index >= 0 && next) go(hrefWith({ photo: next.image_id }), { replace: true });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if ((event.target as HTMLElement).closest('input, select, textarea')) return;
    if (event.key === 'ArrowLeft') step(-1);
    if (event.key === 'ArrowRight') step(1);
  };
  const onTouchEnd = ({ changedTouches }: TouchEvent) => {
    if (touchX.current === null) return;
    const travelled = changedTouches[0]!.clientX - touchX.current;
    if (Math.abs(travelled) > SWIPE_PX) step(travelled < 0 ? 1 : -1);
    touchX.current = null;
  };
  return (
    <dialog ref={dialog} class="lightbox" aria-label={words.photo.label} onKeyDown={onKeyDown} onClose={close}>
      <div
        class="stage" onClick={(event) => event.target === event.currentTarget && close()}
        onTouchStart={({ touches }) => (touchX.current = touches.length === 1 ? touches[0]!.clientX : null)} onTouchEnd={onTouchEnd}
      >
        {item && <Large key={item.image_id} item={item} />}
        {single.error ? <Problem error={single.error} /> : null}
        <button type="button" class="round previous" aria-label={words.photo.previous} disabled={index <= 0} onClick={() => step(-1)}>‹</button>
        <button type="button" class="round next" aria-label={words.photo.next} disabled={index < 0 || index >= items.length - 1} onClick={() => step(1)}>›</button>
      </div>
      <aside class="panel">
        <button type="button" class="icon-button panel-close" aria-label={words.close} onClick={close}><Icon name="close" /></button>
        {item && <PhotoPanel key={item.image_id} open={open} item={item} onGone={close} />}
      </aside>
    </dialog>
  );
}

function Large({ item }: { item: Item }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const { width, height, srcset, srcset_webp: webp, preview, url, thumbhash } = item;
  useEffect(() => {
    frame.current!.classList.toggle('has-placeholder', paint(canvas.current!, thumbhash));
  }, []);
  const style = { '--aspect': width && height ? (width / height).toFixed(4) : '1.5', '--natural': width ? `${width}px` : '100vw' };
  return (
    <div class="frame" ref={frame} style={style}>
      <canvas ref={canvas} aria-hidden="true" />
      <picture>
        {webp && <source type="image/webp" srcset={webp} sizes="100vw" />}
        <img alt={nameOf(item) ?? words.gallery.unnamed} decoding="async" srcset={srcset ?? undefined} sizes="100vw" src={url ?? preview ?? undefined} onLoad={() => frame.current?.classList.add('loaded')} />
      </picture>
    </div>
  );
}
