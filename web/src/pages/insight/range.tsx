/** The span that all reports are about: in the address, by the clocks of a time zone. */

import { ownZone } from '../../lib/format.js';
import { addDays, spanOf, today, type Span } from '../../lib/range.js';
import { galleries, gallery } from '../../state/project.js';
import { go, hrefWith, param } from '../../state/route.js';
import { Choice } from '../../ui/index.js';
import { words } from '../../words/index.js';

const text = words.insight;
export const zone = (): string => param('timezone') ?? ownZone();

export const span = (): Span =>
  spanOf(Number(param('days') ?? 7) || 7, zone(), { from: param('from'), to: param('to') });

/** The parameters of every report. */
export const scope = (project_id: string, of = span()) => ({ project_id, from: of.from, to: of.to, timezone: zone() });

export const isCompared = (): boolean => param('compare') === '1';

export function RangeBar({ canCompare = false }: { canCompare?: boolean }) {
  const { from, to } = span();
  const yesterday = addDays(today(zone()), -1);
  const isYesterday = param('from') === yesterday && param('to') === yesterday;
  const isOwn = param('from') !== null && !isYesterday;
  const choose = (value: string) => {
    if (value === 'yesterday') go(hrefWith({ from: yesterday, to: yesterday, days: null }));
    else if (value === 'own') go(hrefWith({ from, to: addDays(to, -1), days: null }));
    else go(hrefWith({ days: value === '7' ? null : value, from: null, to: null }));
  };
  const zones = [...new Set([ownZone(), 'UTC', zone(), ...Intl.supportedValuesOf('timeZone')])];
  return (
    <div class="bar filters">
      <Choice label={text.range} name="range" value={isYesterday ? 'yesterday' : isOwn ? 'own' : (param('days') ?? '7')} onChange={choose} options={[['yesterday', text.yesterday], ['7', text.days(7)], ['30', text.days(30)], ['90', text.days(90)], ['own', text.own]]} />
      {isOwn && (
        <>
          <label><span>{words.from}</span><input type="date" value={from} max={today(zone())} onChange={(event) => go(hrefWith({ from: event.currentTarget.value }))} /></label>
          <label><span>{words.until}</span><input type="date" value={addDays(to, -1)} onChange={(event) => go(hrefWith({ to: event.currentTarget.value }))} /></label>
        </>
      )}
      <label><span>{text.zone}</span>
        <select value={zone()} onChange={(event) => go(hrefWith({ timezone: event.currentTarget.value === ownZone() ? null : event.currentTarget.value }))}>
          {zones.map((each) => <option key={each} value={each}>{each}</option>)}
        </select>
      </label>
      {canCompare && <label class="check"><input type="checkbox" checked={isCompared()} onChange={() => go(hrefWith({ compare: isCompared() ? null : '1' }))} />{text.compare}</label>}
    </div>
  );
}

/** Chooses the gallery that a report is about, if there are several. */
export function GalleryPicker() {
  const all = galleries.value ?? [];
  if (all.length < 2) return null;
  return (
    <select aria-label={words.gallery.pick} value={gallery.value?.gallery_id} onChange={(event) => go(hrefWith({ gallery: event.currentTarget.value }))}>
      {all.map(({ gallery_id, name }) => <option key={gallery_id} value={gallery_id}>{name}</option>)}
    </select>
  );
}
