/** A gallery's views and clicks by picture and by rank. */

import { useState } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { number, percent } from '../../lib/format.js';
import { inParallel } from '../../lib/parallel.js';
import { galleries, gallery } from '../../state/project.js';
import { href, projectId } from '../../state/route.js';
import { Empty, Loaded, Loading, Table, type Column } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { GalleryPicker, RangeBar, scope } from './range.js';

type Numbers = Schemas['UsageNumbers'];
type Row = Schemas['GalleryUsageImage'];
type Item = Schemas['GalleryItem'];

const text = words.insight;
/** Pictures that are shown at first, and with each further press. */
const SHOWN = 25;
const PARALLEL = 6;

const numbers = (most: number): Column<Numbers>[] => [
  { title: text.share, isWideOnly: true, cell: ({ views }) => <span class="hbar" style={{ width: `${(100 * views) / Math.max(1, most)}%` }} /> },
  { title: words.photo.views, isNumber: true, cell: ({ views }) => number(views) },
  { title: words.photo.clicks, isNumber: true, cell: ({ clicks }) => number(clicks) },
  { title: text.rate, isNumber: true, cell: ({ click_rate }) => (click_rate === null ? '–' : percent(click_rate)) },
];

export function Pictures() {
  const shown = gallery.value;
  const query = { ...scope(projectId.value!), limit: 1000 };
  const path = { gallery_id: shown?.gallery_id ?? '' };
  const load = useLoad(shown && JSON.stringify([path, query]), () => api.get('/analytics/galleries/{gallery_id}', { path, query }));
  if (galleries.value === null) return <Loading />;
  if (!shown) return <Empty title={words.gallery.noGallery}><p>{words.gallery.noGalleryText}</p></Empty>;
  return (
    <>
      <div class="bar"><GalleryPicker /><RangeBar /></div>
      <Loaded load={load}>
        {({ rows, positions }) => (rows.length === 0 ? <Empty title={text.nothing} /> : (
          <>
            <h3>{text.byImage}</h3>
            <ByPicture key={JSON.stringify(query)} galleryId={shown.gallery_id} rows={rows} />
            <h3>{text.byRank}</h3>
            <p class="hint">{text.rankHint}</p>
            <Table
              caption={text.byRank} rows={positions} rowKey={({ position }) => position} empty={text.nothing}
              columns={[{ title: text.rank, isNumber: true, cell: ({ position }) => number(position) }, ...(numbers(Math.max(...positions.map(({ views }) => views))) as Column<Schemas['GalleryUsagePosition']>[])]}
            />
          </>
        ))}
      </Loaded>
    </>
  );
}

function ByPicture({ galleryId, rows }: { galleryId: string; rows: Row[] }) {
  const [count, setCount] = useState(SHOWN);
  const visible = rows.slice(0, count);
  // Only what is shown is looked up, and no picture twice.
  const [items] = useState(new Map<string, Item | null>());
  const load = useLoad(`${galleryId} ${count}`, async () => {
    const wanted = visible.flatMap(({ image_id }) => (image_id && !items.has(image_id) ? [image_id] : []));
    await inParallel(PARALLEL, wanted, async (image_id) => {
      // A picture that left the gallery keeps its figures and has no item.
      items.set(image_id, await api.get('/galleries/{gallery_id}/images/{image_id}', { path: { gallery_id: galleryId, image_id } }).catch(() => null));
    });
    return items;
  });
  const picture = ({ image_id, external_id }: Row) => {
    const item = load.data?.get(image_id ?? '') ?? items.get(image_id ?? '');
    const name = item?.name ?? external_id ?? image_id;
    return (
      <span class="row-picture">
        {item?.preview ? <img class="thumb" src={item.preview} alt="" width={56} height={42} /> : <span class="thumb" />}
        {item ? <a href={href(['gallery', galleryId], { photo: image_id })}>{name}</a> : <span>{name}</span>}
      </span>
    );
  };
  return (
    <Table
      caption={text.byImage} rows={visible} rowKey={({ image_id, external_id }) => image_id ?? external_id ?? ''}
      more={count < rows.length ? async () => setCount(count + SHOWN) : null}
      columns={[{ title: words.images.picture, cell: picture }, ...(numbers(rows[0]!.views) as Column<Row>[])]}
    />
  );
}
