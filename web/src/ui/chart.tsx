/** A line chart over time, with its numbers as a table. */

import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import { number, time } from '../lib/format.js';
import { theme } from '../state/theme.js';
import { words } from '../words/index.js';
import { Table } from './index.js';

export interface Series {
  label: string;
  values: (number | null)[];
  /** A second line of the same kind, such as the period before. */
  isFaint?: boolean;
}

const HEIGHT = 240;
const COLOURS = ['--accent', '--second'];

export function Chart({ label, times, series }: { label: string; times: string[]; series: Series[] }) {
  const box = useRef<HTMLDivElement>(null);
  const shownTheme = theme.value;
  useEffect(() => {
    const style = getComputedStyle(box.current!);
    // A canvas takes no `light-dark()`; the property of an element is already one colour.
    const colour = (name: string) => {
      box.current!.style.color = `var(${name})`;
      const found = getComputedStyle(box.current!).color;
      box.current!.style.color = '';
      return found;
    };
    const [grid, muted] = [colour('--line'), colour('--muted')];
    const axis = { stroke: muted, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: `12px ${style.fontFamily}` };
    const plot = new UPlot(
      {
        width: box.current!.clientWidth,
        height: HEIGHT,
        cursor: { y: false, drag: { x: false, y: false } },
        axes: [axis, { ...axis, size: 56, values: (_, ticks) => ticks.map(number) }],
        scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.08)] } },
        series: [
          { value: (_, at) => (at === null ? '' : time(new Date(at * 1000).toISOString())) },
          ...series.map((each, at) => ({
            label: each.label,
            stroke: colour(COLOURS[at % COLOURS.length]!),
            width: each.isFaint ? 1 : 2,
            ...(each.isFaint && { dash: [5, 5] }),
            points: { show: times.length < 40 },
          })),
        ],
      },
      [times.map((at) => Date.parse(at) / 1000), ...series.map(({ values }) => values)] as UPlot.AlignedData,
      box.current!,
    );
    const observer = new ResizeObserver(() => plot.setSize({ width: box.current!.clientWidth, height: HEIGHT }));
    observer.observe(box.current!);
    return () => (observer.disconnect(), plot.destroy());
  }, [times, series, shownTheme]);
  const rows = times.map((at, index) => ({ at, values: series.map(({ values }) => values[index] ?? null) }));
  return (
    <figure class="chart">
      <div ref={box} role="img" aria-label={label} />
      <details>
        <summary>{words.insight.asTable}</summary>
        <Table
          caption={label} rows={rows} rowKey={({ at }) => at}
          columns={[
            { title: words.insight.when, cell: ({ at }) => time(at) },
            ...series.map((each, index) => ({ title: each.label, isNumber: true, cell: ({ values }: (typeof rows)[number]) => (values[index] === null ? '–' : number(values[index]!)) })),
          ]}
        />
      </details>
    </figure>
  );
}
