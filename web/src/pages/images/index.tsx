/** All images of a project, by state, tag and name; failed ones say why, and are retried where it can help. */

import { useEffect, useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { bytes } from '../../lib/format.js';
import { onNews } from '../../state/live.js';
import { attempt, undoable } from '../../state/notices.js';
import { galleries } from '../../state/project.js';
import { go, href, hrefWith, param, projectId } from '../../state/route.js';
import { FilterField } from '../../ui/form.js';
import { Empty, Icon, Loaded, Choice, Table, Time } from '../../ui/index.js';
import { useList } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { ImageDialog, isRetried, Retry } from './image.js';

type Image = Schemas['Image'];

const text = words.images;
const PAGE = 100;
const STATES = ['error', 'processing', 'uploaded', 'init', 'done'] as const;

export function ImagesPage() {
  const state = STATES.find((each) => each === param('state'));
  const tag = param('tag');
  const name = param('name');
  const inGallery = param('gallery');
  const path = { project_id: projectId.value! };
  const read = async (cursor: string | undefined, only = state) => {
    const page = await api.get('/projects/{project_id}/images', { path, query: { state: only, tag: tag ?? undefined, name: name ?? undefined, gallery_id: inGallery ?? undefined, cursor, limit: PAGE } });
    return { entries: page.images, next: page.next_cursor };
  };
  const list = useList<Image>(JSON.stringify([projectId.value, state, tag, name, inGallery]), read);
  const failed = useList<Image>(state ? null : JSON.stringify([projectId.value, 'failed', tag, name, inGallery]), (cursor) => read(cursor, 'error'));
  const [gone, setGone] = useState<Set<string>>(new Set());
  const reload = () => (list.reload(), state || failed.reload());
  useEffect(() => onNews((message) => {
    if (message.type === 'image.state' && (message.state === 'done' || message.state === 'error')) reload();
  }, reload), [state, tag, name, inGallery]);
  const remove = (image: Image) => {
    setGone(new Set([...gone, image.image_id]));
    const restore = () => setGone((before) => new Set([...before].filter((id) => id !== image.image_id)));
    const work = () => void attempt(() => api.delete('/images/{image_id}', { path: { image_id: image.image_id }, keepalive: true })).then((done) => (done ? reload() : restore()));
    undoable(words.photo.deleted(1), words.undo, work, restore);
  };
  const shown = (images: Image[]) => images.filter(({ image_id }) => !gone.has(image_id));
  const failures = shown(failed.entries);
  return (
    <div class="page">
      <div class="bar page-head"><h2 class="title">{words.nav.images}</h2></div>
      <div class="bar filters">
        <Choice label={text.state} name="state" value={state ?? ''} onChange={(value) => go(hrefWith({ state: value || null }))} options={[['', text.all], ...STATES.map((each): [string, string] => [each, text.states[each]])]} />
        <label><span>{text.gallery}</span>
          <select value={inGallery ?? ''} onChange={(event) => go(hrefWith({ gallery: event.currentTarget.value || null }))}>
            <option value="">{text.everyGallery}</option>
            {(galleries.value ?? []).map(({ gallery_id, name: title }) => <option key={gallery_id} value={gallery_id}>{title}</option>)}
          </select>
        </label>
        <FilterField label={text.tag} value={tag ?? ''} maxLength={100} onChange={(wanted) => go(hrefWith({ tag: wanted || null }))} />
        <FilterField label={text.name} value={name ?? ''} maxLength={100} onChange={(wanted) => go(hrefWith({ name: wanted || null }))} />
      </div>
      {!state && failures.length > 0 && (
        <section class="page">
          <h3>{text.failedTitle(failures.length, Boolean(failed.more))}</h3>
          <Rows caption={text.states.error} images={failures} more={failed.more} onRemove={remove} onChanged={reload} />
        </section>
      )}
      <Loaded load={list}>
        {() => {
          const images = shown(list.entries).filter((image) => state || image.state !== 'error');
          if (images.length === 0 && failures.length > 0) return null;
          if (images.length === 0) return <Empty title={state || tag || name || inGallery ? text.noneFiltered : text.none}><p>{words.gallery.emptyText}</p></Empty>;
          return <Rows caption={words.nav.images} images={images} more={list.more} onRemove={remove} onChanged={reload} />;
        }}
      </Loaded>
      {param('image') && <ImageDialog id={param('image')!} onRemove={remove} onChanged={reload} onClose={() => go(hrefWith({ image: null }))} />}
    </div>
  );
}

interface RowsProps {
  caption: string;
  images: Image[];
  more: (() => Promise<void>) | null;
  onRemove: (image: Image) => void;
  onChanged: () => void;
}

function Rows({ caption, images, more, onRemove, onChanged }: RowsProps) {
  return (
    <Table
      caption={caption} rows={images} more={more} isLong rowKey={({ image_id }) => image_id}
      columns={[
        { title: text.picture, width: '84px', cell: (image) => <Thumb image={image} /> },
        { title: text.name, cell: ({ image_id, name, filename, tags }) => <><a class="name" href={hrefWith({ image: image_id })}>{name || filename}</a><span class="tags">{tags.map((each) => <a key={each} href={href(['images'], { tag: each })}>{each}</a>)}</span></> },
        { title: text.state, width: '34%', cell: ({ state, error }) => <><span class={`state ${state}`}>{text.states[state]}</span>{error && <p class="problem">{error}</p>}</> },
        { title: text.size, width: '16%', isWideOnly: true, cell: ({ width, height, bytes: size }) => [width && height ? `${width} × ${height}` : '', size ? bytes(size) : ''].filter(Boolean).join(' · ') || '–' },
        { title: text.added, width: '13%', isWideOnly: true, cell: ({ created_at }) => <Time at={created_at} relative /> },
        {
          title: text.actions, width: '190px', isNumber: true, isWideOnly: true,
          cell: (image) => (
            <div class="line tight">
              {isRetried(image) && <Retry image={image} onChanged={onChanged} />}
              {image.versions.original && <a class="icon-button button" href={image.versions.original} aria-label={`${words.photo.download}: ${image.filename}`}><Icon name="download" /></a>}
              <button type="button" class="icon-button" aria-label={`${words.delete}: ${image.filename}`} onClick={() => onRemove(image)}><Icon name="trash" /></button>
            </div>
          ),
        },
      ]}
    />
  );
}

function Thumb({ image }: { image: Image }) {
  const source = image.versions.thumb ?? image.url;
  return source ? <img class="thumb" src={source} alt="" loading="lazy" decoding="async" width={56} height={42} /> : <span class="thumb none" />;
}
