/** What /metrics says, and how it changes: Prometheus' text format, and quantiles of its histograms. */

/**
 * @typedef {{ name: string, labels: Record<string, string>, value: number }} Sample
 * @typedef {{ atMs: number, samples: Sample[] }} Scrape
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

/**
 * By how much each sum has grown. A counter that has shrunk began again at 0: the gateway was restarted.
 *
 * @param {Map<string, number>} before
 * @param {Map<string, number>} after
 * @returns {Map<string, number>}
 */
export function growth(before, after) {
  return new Map(
    [...after].map(([key, value]) => {
      const old = before.get(key) ?? 0;
      return [key, value >= old ? value - old : value];
    }),
  );
}

/**
 * A quantile of what a histogram has counted, in its unit; undefined where it has counted nothing. Within a bucket
 * values are taken for evenly spread, as Prometheus does.
 *
 * @param {Map<string, number>} buckets upper bound to how many were at most that
 * @param {number} quantile 0 to 1
 */
export function quantileOf(buckets, quantile) {
  const bounds = [...buckets]
    .map(([bound, count]) => ({ bound: bound === '+Inf' ? Infinity : Number(bound), count }))
    .sort((a, b) => a.bound - b.bound);
  const total = bounds.at(-1)?.count ?? 0;
  if (total === 0) return undefined;
  const rank = quantile * total;
  let lower = 0;
  let below = 0;
  for (const { bound, count } of bounds) {
    if (count >= rank) {
      if (bound === Infinity) return lower;
      return lower + (bound - lower) * (count === below ? 1 : (rank - below) / (count - below));
    }
    lower = bound;
    below = count;
  }
  return lower;
}
