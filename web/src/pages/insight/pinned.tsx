/** Pinned questions on the dashboard, each asked over its span. */

import { api } from '../../api/index.js';
import { PINNED_MAX, type Question } from '../../lib/questions.js';
import { questions } from '../../state/questions.js';
import { href, projectId } from '../../state/route.js';
import { Chart } from '../../ui/chart.js';
import { Loaded } from '../../ui/index.js';
import { useLoad } from '../../ui/load.js';
import { words } from '../../words/index.js';
import { AnswerTable, useChart, type Report } from './answer.js';
import { scope } from './range.js';

const text = words.insight.saved;
const ROWS = 5;

export function Pinned() {
  const pinned = questions.value.filter(({ isPinned }) => isPinned).slice(0, PINNED_MAX);
  if (pinned.length === 0) return null;
  return (
    <>
      <p class="hint">{text.pinnedHint}</p>
      <div class="cards">{pinned.map((question) => <PinnedQuestion key={question.name} question={question} />)}</div>
    </>
  );
}

function PinnedQuestion({ question: { name, query } }: { question: Question }) {
  const body = { ...scope(projectId.value!), query, limit: 1000 };
  const load = useLoad(JSON.stringify(body), () => api.post('/analytics/sql', { body }));
  return (
    <section class="card">
      <h3><a href={href(['insight', 'sql'], { q: query })}>{name}</a></h3>
      <Loaded load={load}>{(report) => <Short report={report} name={name} />}</Loaded>
    </section>
  );
}

/** The chart if there is one, else the first rows. */
function Short({ report, name }: { report: Report; name: string }) {
  const chart = useChart(report);
  if (chart) return <Chart label={name} {...chart} />;
  if (report.rows.length === 0) return <p class="none">{words.insight.nothing}</p>;
  return <AnswerTable report={report} count={ROWS} caption={name} />;
}
