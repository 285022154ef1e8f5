/** What /metrics says, in Prometheus' text format. Pure. */

/**
 * @typedef {{ name: string, labels: Record<string, string>, value: number }} Sample
 */

/**
 * @param {string} text
 * @returns {Sample[]}
 */
export function parseMetrics(text) {
  const samples = [];
  for (const line of text.split('\n')) {
    const [, name, labelText = '', value] = /^(sallyport_\w+)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name === undefined) continue;
    const labels = Object.fromEntries(
      [...labelText.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', text = '']) => [
        label,
        text.replace(/\\(.)/g, (_, char) => (char === 'n' ? '\n' : char)),
      ]),
    );
    samples.push({ name, labels, value: Number(value) });
  }
  return samples;
}

/**
 * The sum of a metric by one or more of its labels.
 *
 * @param {readonly Sample[]} samples
 * @param {string} name
 * @param {(labels: Record<string, string>) => string | undefined} by undefined: it does not count
 * @returns {Map<string, number>}
 */
export function sumBy(samples, name, by) {
  const sums = new Map();
  for (const sample of samples) {
    if (sample.name !== name) continue;
    const key = by(sample.labels);
    if (key !== undefined) sums.set(key, (sums.get(key) ?? 0) + sample.value);
  }
  return sums;
}
