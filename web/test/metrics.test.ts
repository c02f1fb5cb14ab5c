import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMetrics, sumOf } from '../src/lib/metrics.js';

const TEXT = `# HELP eyeline_jobs Jobs by kind and state.
# TYPE eyeline_jobs gauge
eyeline_jobs{kind="process",state="waiting"} 3
eyeline_jobs{kind="process",state="running"} 2
eyeline_jobs{kind="clear",state="waiting"} 1
eyeline_build_info{version="0.1.0"} 1
eyeline_lake_bytes 1.5e3
no metric
`;

test('samples are summed by their labels, and what is missing is told from zero', () => {
  const metrics = parseMetrics(TEXT);
  assert.deepEqual([sumOf(metrics, 'eyeline_jobs'), sumOf(metrics, 'eyeline_jobs', { state: 'waiting' })], [6, 4]);
  assert.deepEqual([sumOf(metrics, 'eyeline_lake_bytes'), sumOf(metrics, 'eyeline_nothing')], [1500, null]);
  assert.equal(metrics.get('eyeline_build_info')![0]!.labels['version'], '0.1.0');
});
