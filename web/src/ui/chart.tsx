/** A line chart over time, with its numbers as a table. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type UPlot from 'uplot';
import { beginOf } from '../lib/buckets.js';
import { number, ownZone, time } from '../lib/format.js';
import type { Mark } from '../lib/marks.js';
import type { Span } from '../lib/range.js';
import { theme } from '../state/theme.js';
import { words } from '../words/index.js';
import { Table, Time } from './index.js';
import { useSeen } from './seen.js';

export interface Series {
  label: string;
  values: (number | null)[];
  /** A second line of the same kind, such as the period before. */
  isFaint?: boolean;
}

const HEIGHT = 240;
const DAY_S = 86_400;
/** Days between the labels of a long chart. */
const STEPS = [1, 2, 3, 5, 7, 10, 14, 30, 60, 90, 180, 365].map((days) => days * DAY_S);

/** The labels of the axis: days on that of a long chart, hours on that of a short one. */
function labelsOf([from, to]: [number, number]): { stamp: Intl.DateTimeFormatOptions; incrs?: number[] } {
  const day: Intl.DateTimeFormatOptions = { month: 'short', day: 'numeric' };
  return to - from > 3 * DAY_S ? { stamp: day, incrs: STEPS } : { stamp: { ...day, hour: '2-digit', minute: '2-digit' } };
}

const COLOURS = ['--accent', '--second'];

const NO_MARKS: Mark[] = [];

let known: typeof UPlot | undefined;
/** The library is loaded with the first chart. */
const loadPlot = async () => (known ??= (await import('uplot')).default);

/** Pixels below which marks share a line, because their numbers would cover each other. */
const MARK_WIDTH = 14;

/** Draws a line and its number for each mark; one outside the plotted times stands at their edge. */
function drawMarks({ ctx, bbox, valToPos }: UPlot, marks: Mark[], colour: string): void {
  ctx.save();
  Object.assign(ctx, { strokeStyle: colour, fillStyle: colour, textAlign: 'center', lineWidth: devicePixelRatio, font: `${11 * devicePixelRatio}px sans-serif` });
  ctx.setLineDash([4, 4].map((length) => length * devicePixelRatio));
  const lines: { x: number; numbers: string }[] = [];
  marks.forEach(({ at }, index) => {
    const x = Math.max(bbox.left, Math.min(bbox.left + bbox.width, valToPos(Date.parse(at) / 1000, 'x', true)));
    const last = lines.at(-1);
    if (last && x - last.x < MARK_WIDTH * devicePixelRatio) last.numbers += `, ${index + 1}`;
    else lines.push({ x, numbers: String(index + 1) });
  });
  lines.forEach(({ x, numbers }) => {
    ctx.beginPath();
    ctx.moveTo(x, bbox.top + 14 * devicePixelRatio);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(numbers, x, bbox.top + 10 * devicePixelRatio);
  });
  ctx.restore();
}

/** The least width of a chart, for one with a single time. */
const WIDTH_MIN_S = 3600;

/** The times of the axis in seconds: those of the data and of the span that was asked for. */
function axisOf(times: string[], span: Span | undefined, timeZone: string): [number, number] {
  const ends = span ? [beginOf(span.from, timeZone), beginOf(span.to, timeZone)] : [];
  const all = [Date.parse(times[0]!), Date.parse(times.at(-1)!), ...ends].map((at) => at / 1000);
  const [from, to] = [Math.min(...all), Math.max(...all)];
  return from === to ? [from - WIDTH_MIN_S, to + WIDTH_MIN_S] : [from, to];
}

interface ChartProps {
  label: string;
  times: string[];
  series: Series[];
  /** Events of the gallery's own past, drawn with numbers that the list below explains. */
  marks?: Mark[] | undefined;
  /** The days that were asked for. Without them the axis begins and ends with the data. */
  span?: Span | undefined;
  /** The zone by whose clocks the axis is labelled. Default: the viewer's. */
  timeZone?: string | undefined;
}

/** If not every point is shown, those that no line reaches, because both their neighbours are missing. */
function alone({ data }: UPlot, line: number, isShown: boolean): number[] | null {
  if (isShown) return null;
  const values = data[line]!;
  return [...values.keys()].filter((at) => values[at] !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null);
}

/** Lines with fewer times show each of them as a point. */
const POINTS_MAX = 40;

export function Chart({ label, times, series, marks = NO_MARKS, span, timeZone = ownZone() }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plotted = useRef<UPlot | null>(null);
  const shownMarks = useRef(marks);
  shownMarks.current = marks;
  const shownTheme = theme.value;
  const [Plot, setPlot] = useState(() => known);
  // A chart that cannot be loaded leaves its table.
  const isSeen = useSeen(box);
  useEffect(() => void (isSeen && loadPlot().then((found) => setPlot(() => found), () => {})), [isSeen]);
  useEffect(() => {
    if (!Plot) return;
    const element = box.current!;
    const style = getComputedStyle(element);
    // A canvas takes no `light-dark()`; the property of an element is already one colour.
    const colour = (name: string) => {
      element.style.color = `var(${name})`;
      const found = getComputedStyle(element).color;
      element.style.color = '';
      return found;
    };
    const [grid, muted] = [colour('--line'), colour('--muted')];
    const axis = { stroke: muted, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: `12px ${style.fontFamily}` };
    const shown = axisOf(times, span, timeZone);
    const { stamp, ...steps } = labelsOf(shown);
    const told = (at: number, options?: Intl.DateTimeFormatOptions) => time(new Date(at * 1000).toISOString(), { ...(options ?? { dateStyle: 'medium', timeStyle: 'short' }), timeZone });
    const plot = new Plot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        tzDate: (at) => Plot.tzDate(new Date(at * 1000), timeZone),
        cursor: { y: false, drag: { x: false, y: false } },
        axes: [{ ...axis, ...steps, size: 34, space: 100, values: (_, ticks) => ticks.map((at) => told(at, stamp)) }, { ...axis, size: 56, values: (_, ticks) => ticks.map(number) }],
        legend: { markers: { dash: (_, at) => (series[at - 1]?.isFaint ? 'dashed' : 'solid') } },
        hooks: { draw: [(plot) => drawMarks(plot, shownMarks.current, muted)] },
        scales: { x: { range: () => shown }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.08)] } },
        series: [
          { value: (_, at) => (at === null ? '' : told(at)) },
          ...series.map((each, at) => ({
            label: each.label,
            value: (_: UPlot, value: number | null) => (value === null ? '' : number(value)),
            stroke: colour(COLOURS[at % COLOURS.length]!),
            width: each.isFaint ? 1 : 2,
            ...(each.isFaint && { dash: [5, 5] }),
            points: { show: times.length < POINTS_MAX, filter: alone },
          })),
        ],
      },
      [times.map((at) => Date.parse(at) / 1000), ...series.map(({ values }) => values)] as UPlot.AlignedData,
      element,
    );
    plotted.current = plot;
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => (observer.disconnect(), plot.destroy(), (plotted.current = null));
  }, [Plot, times, series, span?.from, span?.to, timeZone, shownTheme]);
  useEffect(() => plotted.current?.redraw(false), [marks]);
  const rows = times.map((at, index) => ({ at, values: series.map(({ values }) => values[index] ?? null) }));
  return (
    <figure class="chart">
      <div ref={box} class="plot" role="img" aria-label={label} />
      {marks.length > 0 && <ol class="marks" aria-label={words.insight.marks.title}>{marks.map((mark) => <li key={`${mark.at} ${mark.text}`}><Time at={mark.at} timeZone={timeZone} /> · {mark.text}</li>)}</ol>}
      <details>
        <summary>{words.insight.asTable}</summary>
        <Table
          caption={label} rows={rows} rowKey={({ at }) => at}
          columns={[
            { title: words.insight.when, cell: ({ at }) => <Time at={at} timeZone={timeZone} /> },
            ...series.map((each, index) => ({ title: each.label, isNumber: true, cell: ({ values }: (typeof rows)[number]) => (values[index] === null ? '–' : number(values[index]!)) })),
          ]}
        />
      </details>
    </figure>
  );
}
