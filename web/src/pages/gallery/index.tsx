/** The gallery page: which gallery is shown, and its tabs. */

import { useState } from 'preact/hooks';
import { galleries, gallery, demoApplication } from '../../state/project.js';
import { go, href, route } from '../../state/route.js';
import { Empty, Icon, Loading, Tabs } from '../../ui/index.js';
import { later } from '../../ui/later.js';
import { words } from '../../words/index.js';
import { DemoPanel } from '../demo.js';
import { EditGallery, NewGallery } from './dialogs.js';
import { Photos } from './photos.js';

const Order = later(async () => (await import('./order.js')).Order);
const ImportCatalogue = later(async () => (await import('./catalogue.js')).ImportCatalogue);
const Share = later(async () => (await import('./share.js')).Share);

const TABS = ['photos', 'order', 'share'] as const;
const text = words.gallery;

export function GalleryPage() {
  const [dialog, setDialog] = useState<'new' | 'edit' | 'import' | null>(null);
  if (galleries.value === null) return <Loading />;
  const shown = gallery.value;
  const tab = TABS.find((each) => each === route.value.path[2]) ?? 'photos';
  const close = () => setDialog(null);
  const pick = (event: { currentTarget: HTMLSelectElement }) => go(href(['gallery', event.currentTarget.value, tab]));
  return (
    <div class="page">
      <div class="bar page-head">
        {shown && galleries.value.length > 1
          ? (
            <>
              <h2 class="spoken">{shown.name}</h2>
              <select class="title" aria-label={text.pick} value={shown.gallery_id} onChange={pick}>
                {galleries.value.map(({ gallery_id, name }) => <option key={gallery_id} value={gallery_id}>{name}</option>)}
              </select>
            </>
          )
          : <h2 class="title">{shown?.name ?? text.label}</h2>}
        {shown && <button type="button" class="icon-button" aria-label={text.edit} title={text.edit} onClick={() => setDialog('edit')}><Icon name="edit" /></button>}
        <button type="button" class="quiet" onClick={() => setDialog('new')}><Icon name="add" />{text.new}</button>
        {shown && <button type="button" class="icon-button" aria-label={words.catalogue.title} title={words.catalogue.title} onClick={() => setDialog('import')}><Icon name="table" /></button>}
        {shown && <Tabs label={text.tabs.label} open={tab} tabs={[...TABS.map((each): [string, string, string] => [each, text.tabs[each], href(['gallery', shown.gallery_id, each])]), ['insight', text.tabs.insight, href(['insight'], { gallery: shown.gallery_id })]]} />}
      </div>
      {demoApplication.value && <DemoPanel />}
      {shown && tab === 'photos' && <Photos key={shown.gallery_id} shown={shown} />}
      {shown && tab === 'order' && <Order key={shown.gallery_id} shown={shown} />}
      {shown && tab === 'share' && <Share key={shown.gallery_id} shown={shown} />}
      {!shown && <Empty title={text.noGallery}><p>{text.noGalleryText}</p></Empty>}
      {dialog === 'new' && <NewGallery onClose={close} />}
      {dialog === 'import' && shown && <ImportCatalogue galleryId={shown.gallery_id} onClose={close} />}
      {dialog === 'edit' && shown && <EditGallery shown={shown} onClose={close} />}
    </div>
  );
}
