/** The most common sequences of events, as a flow and as a table. */

import { sankey, sankeyLinkHorizontal } from 'd3-sankey';
import { useMemo } from 'preact/hooks';
import { api, type Schemas } from '../../api/index.js';
import { number } from '../../lib/format.js';
import { flowOf, type FlowLink, type FlowNode } from '../../lib/insight.js';
import { go, hrefWith, param, projectId } from '../../state/route.js';
import { Empty, Loaded, Choice, Table } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { RangeBar, scope } from './range.js';

type PathRow = Schemas['PathRow'];

const text = words.insight;
const ANCHORS = ['start', 'any', 'end'] as const;
const DEPTHS = ['2', '3', '4', '5'];
const [WIDTH, HEIGHT, NODE] = [1000, 440, 14];

export function Paths() {
  const anchor = ANCHORS.find((each) => each === param('anchor')) ?? 'start';
  const depth = DEPTHS.find((each) => each === param('depth')) ?? '3';
  const query = { ...scope(projectId.value!), anchor, depth: Number(depth), limit: 40 };
  const load = useLoad(JSON.stringify(query), () => api.get('/analytics/paths', { query }));
  return (
    <>
      <div class="bar">
        <RangeBar />
        <div class="right">
          <Choice label={text.anchor} name="anchor" value={anchor} options={ANCHORS.map((each) => [each, text.anchors[each]])} onChange={(value) => go(hrefWith({ anchor: value }))} />
          <Choice label={text.depth} name="depth" value={depth} options={DEPTHS.map((each) => [each, text.steps(Number(each))])} onChange={(value) => go(hrefWith({ depth: value }))} />
        </div>
      </div>
      <Loaded load={load}>
        {({ rows, visits }) => (rows.length === 0 ? <Empty title={text.noPaths}><p>{text.noPathsText}</p></Empty> : (
          <>
            <p class="hint">{text.pathsHint(visits)}</p>
            <div class="card flow" tabIndex={0} role="group" aria-label={text.tabs.paths}><Flow rows={rows} /></div>
            <Table
              caption={text.tabs.paths} rows={rows} rowKey={(_, index) => index}
              columns={[
                { title: text.path, cell: ({ steps }: PathRow) => steps.map(({ category, name }) => `${category} / ${name}`).join('  →  ') },
                { title: text.times, isNumber: true, cell: ({ count }: PathRow) => number(count) },
              ]}
            />
          </>
        ))}
      </Loaded>
    </>
  );
}

function Flow({ rows }: { rows: PathRow[] }) {
  const { nodes, links } = useMemo(() => {
    const layout = sankey<FlowNode, FlowLink>().nodeId(({ id }) => id).nodeAlign(({ step }) => step).nodeWidth(NODE).nodePadding(18).extent([[0, 8], [WIDTH, HEIGHT - 8]]);
    return layout(flowOf(rows));
  }, [rows]);
  const path = sankeyLinkHorizontal<FlowNode, FlowLink>();
  const titleOf = (end: string | number | FlowNode) => (typeof end === 'object' ? end.title : String(end));
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={text.flow}>
      {links.map((link, at) => <path key={at} class="flow-link" d={path(link) ?? ''} stroke-width={Math.max(1, link.width ?? 1)}><title>{`${titleOf(link.source)} → ${titleOf(link.target)}: ${number(link.value)}`}</title></path>)}
      {nodes.map(({ id, title, value, x0 = 0, x1 = 0, y0 = 0, y1 = 0 }) => {
        const isLast = x1 > WIDTH - 2 * NODE;
        return (
          <g key={id}>
            <rect class="flow-node" x={x0} y={y0} width={x1 - x0} height={Math.max(1, y1 - y0)} rx={3}><title>{`${title}: ${number(value ?? 0)}`}</title></rect>
            <text x={isLast ? x0 - 6 : x1 + 6} y={(y0 + y1) / 2} dy="0.35em" text-anchor={isLast ? 'end' : 'start'}>{title} <tspan class="muted">{number(value ?? 0)}</tspan></text>
          </g>
        );
      })}
    </svg>
  );
}
