/** Answers first: visits, views, clicks and their rate, the best and worst pictures, and what the order brings. */

import { useMemo, useRef } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { change, number, percent } from '../../lib/format.js';
import { bucketsOf, countsIn } from '../../lib/buckets.js';
import { bestAndWorst, changeOf } from '../../lib/insight.js';
import { intervalOf, spanBefore, type Span } from '../../lib/range.js';
import { galleries, gallery, type Gallery } from '../../state/project.js';
import { href, projectId } from '../../state/route.js';
import { Chart, type Series } from '../../ui/chart.js';
import { Empty, Loaded, Loading } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { useSeen } from '../../ui/seen.js';
import { words } from '../../words/index.js';
import { readMarks } from './marks.js';
import { Pinned } from './pinned.js';
import { GalleryPicker, isCompared, RangeBar, scope, span, zone } from './range.js';

type Usage = Schemas['GalleryUsage'];
type ImageRow = Schemas['GalleryUsageImage'];

const text = words.insight;
const PICTURES = 5;

interface Numbers {
  visits: number;
  usage: Usage;
}

/** `limit`: how many of the images are told by themselves. */
async function read(project_id: string, gallery_id: string, of: Span, limit: number): Promise<Numbers> {
  const query = scope(project_id, of);
  const [counts, usage] = await Promise.all([
    api.get('/analytics/counts', { query: { ...query, interval: 'all' } }),
    api.get('/analytics/galleries/{gallery_id}', { path: { gallery_id }, query: { ...query, interval: intervalOf(of), limit } }),
  ]);
  return { visits: counts.rows[0]?.sessions ?? 0, usage };
}

export function Dashboard() {
  const shown = gallery.value;
  const key = shown && JSON.stringify([shown.gallery_id, scope(''), isCompared()]);
  const load = useLoad(key, async () => {
    const [now, before] = await Promise.all([read(projectId.value!, shown!.gallery_id, span(), 1000), read(projectId.value!, shown!.gallery_id, spanBefore(span()), 1)]);
    return { now, before };
  });
  if (galleries.value === null) return <Loading />;
  if (!shown) return <Empty title={words.gallery.noGallery}><p>{words.gallery.noGalleryText}</p></Empty>;
  return (
    <>
      <div class="bar">
        <GalleryPicker />
        <RangeBar canCompare />
      </div>
      <Loaded load={load}>{({ now, before }) => <Answers shown={shown} now={now} before={before} />}</Loaded>
      <Pinned />
    </>
  );
}

function Answers({ shown, now, before }: { shown: Gallery; now: Numbers; before: Numbers }) {
  const galleryId = shown.gallery_id;
  const [total, old] = [now.usage.total, before.usage.total];
  const { best, worst } = useMemo(() => bestAndWorst(now.usage.rows, PICTURES), [now]);
  return (
    <>
      <div class="answers">
        <Answer label={text.visits} hint={text.visitsHint} value={number(now.visits)} change={changeOf(now.visits, before.visits)} />
        <Answer label={words.photo.views} value={number(total.views)} change={changeOf(total.views, old.views)} />
        <Answer label={words.photo.clicks} value={number(total.clicks)} change={changeOf(total.clicks, old.clicks)} />
        <Answer label={text.rate} hint={text.rateHint} value={total.click_rate === null ? '–' : percent(total.click_rate)} change={changeOf(total.click_rate, old.click_rate)} />
      </div>
      <p class="card">{total.views === 0 ? <NotSeen galleryId={galleryId} /> : <Lift galleryId={galleryId} experiment={now.usage.experiment} />}</p>
      <section class="card"><h3>{text.overTime}</h3><OverTime shown={shown} now={now.usage} before={before.usage} /></section>
      <div class="cards">
        <section class="card"><h3>{text.best}</h3><Pictures galleryId={galleryId} rows={best} /></section>
        <section class="card"><h3>{text.worst}</h3><Pictures galleryId={galleryId} rows={worst} /></section>
      </div>
    </>
  );
}

function Answer({ label, hint, value, change: by }: { label: string; hint?: string; value: string; change: number | null }) {
  return (
    <div class="card answer" title={hint}>
      <span>{label}</span>
      <strong>{value}</strong>
      <small class={by === null ? 'hint' : by < 0 ? 'problem' : 'good'}>{by === null ? text.noBefore : text.against(change(by))}</small>
    </div>
  );
}

const NotSeen = ({ galleryId }: { galleryId: string }) => <span>{text.notSeen} <a href={href(['gallery', galleryId, 'share'])}>{text.shareIt}</a></span>;

/** The effect of the order, or a link that begins to measure it. */
function Lift({ galleryId, experiment }: { galleryId: string; experiment: Usage['experiment'] }) {
  if (!experiment) return <span>{text.noHoldout} <a href={href(['gallery', galleryId, 'order'])}>{text.measure}</a></span>;
  const { lift, interval, enough_data, message } = experiment;
  if (!enough_data || lift === null || !interval) return <>{text.liftUnsure(message ?? '')}</>;
  return <>{text.lift(change(lift), percent(interval[0]!), percent(interval[1]!))}</>;
}

/** Views and clicks by bucket; with a comparison, those of the same bucket of the period before. */
function OverTime({ shown, now, before }: { shown: Gallery; now: Usage; before: Usage }) {
  const compared = isCompared();
  const shownSpan = span();
  const timeZone = zone();
  const marks = useLoad(JSON.stringify([shown.gallery_id, scope('')]), () => readMarks(shown, shownSpan));
  const { times, series } = useMemo(() => {
    const begins = (of: Span) => bucketsOf(of, intervalOf(of), timeZone);
    const [buckets, bucketsBefore] = [begins(shownSpan), begins(spanBefore(shownSpan))];
    const sums = (usage: Usage, of: number[], name: 'views' | 'clicks') => countsIn(of, usage.over_time.map((row) => [Date.parse(row.bucket), row[name]]));
    const line = (label: string, name: 'views' | 'clicks'): Series => ({ label, values: sums(now, buckets, name) });
    const faint = (label: string, name: 'views' | 'clicks'): Series =>
      ({ label: text.before(label), isFaint: true, values: sums(before, bucketsBefore, name).slice(0, buckets.length) });
    const lines = [line(words.photo.views, 'views'), line(words.photo.clicks, 'clicks')];
    const hasBefore = before.over_time.some(({ views, clicks }) => views + clicks > 0);
    if (compared && hasBefore) lines.push(faint(words.photo.views, 'views'), faint(words.photo.clicks, 'clicks'));
    return { times: buckets.map((at) => new Date(at).toISOString()), series: lines };
  }, [now, before, compared]);
  const isEmpty = !series.some(({ values }) => values.some((value) => value));
  if (isEmpty) return <p class="none">{text.nothing}</p>;
  return <Chart label={text.overTime} times={times} series={series} marks={marks.data ?? undefined} span={shownSpan} timeZone={timeZone} />;
}

function Pictures({ galleryId, rows }: { galleryId: string; rows: ImageRow[] }) {
  const ids = rows.map(({ image_id }) => image_id!);
  const list = useRef<HTMLOListElement>(null);
  const isSeen = useSeen(list);
  const load = useLoad(isSeen ? JSON.stringify(ids) : null, () => Promise.all(ids.map(async (image_id) => {
    // A picture that left the gallery keeps its figures and has no item.
    const item = await api.get('/galleries/{gallery_id}/images/{image_id}', { path: { gallery_id: galleryId, image_id } }).catch(() => null);
    return item;
  })));
  if (rows.length === 0) return <p class="none">{text.nothing}</p>;
  return (
    <ol ref={list} class="pictures">
      {rows.map(({ image_id, external_id, views, clicks, click_rate }, at) => {
        const item = load.data?.[at];
        const name = item?.name ?? external_id ?? (load.data ? image_id! : '…');
        return (
          <li key={image_id}>
            <a href={href(['gallery', galleryId], { photo: image_id })}>{item?.preview ? <img class="thumb" src={item.preview} alt="" /> : <span class="thumb" />}<span>{name}</span></a>
            <span class="number" title={words.gallery.seen(views, clicks)}>{click_rate === null ? '–' : percent(click_rate)}<small class="hint"> · {number(clicks)} / {number(views)}</small></span>
          </li>
        );
      })}
    </ol>
  );
}
