/** The server's metrics, read from the text format of Prometheus. */

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

export type Metrics = Map<string, Sample[]>;

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The samples by the name of their metric. Lines of another form are left out. */
export function parseMetrics(text: string): Metrics {
  const metrics: Metrics = new Map();
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (!name) continue;
    const sample = { labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, key, told]) => [key!, told!])), value: Number(value) };
    metrics.set(name, [...(metrics.get(name) ?? []), sample]);
  }
  return metrics;
}

/** The sum of a metric over all samples with these labels; null if there is none. */
export function sumOf(metrics: Metrics, name: string, labels: Record<string, string> = {}): number | null {
  const wanted = Object.entries(labels);
  const samples = (metrics.get(name) ?? []).filter((sample) => wanted.every(([key, value]) => sample.labels[key] === value));
  return samples.length ? samples.reduce((sum, { value }) => sum + value, 0) : null;
}
