/** What passes and what is refused, as it happens: from one look at /metrics to the next. */
import { drawBars, drawLines, drawStack, replace } from './charts.js';
import { byId, durationText, element, numberText } from './dom.js';
import { growth, parseMetrics, quantileOf, sumBy } from './metrics.js';

/** How far back the pictures go. */
const KEPT = 150;
/** What else there is goes together. */
const MOST_REASONS = 6;
const MOST_BARS = 8;

/** @typedef {{ atMs: number, reasons: Map<string, number>, latency: (number | undefined)[] }} Moment */

const LATENCIES = [
  { name: 'median', metric: 'sallyport_http_request_duration_seconds', quantile: 0.5 },
  { name: '95th percentile', metric: 'sallyport_http_request_duration_seconds', quantile: 0.95 },
  { name: '99th percentile', metric: 'sallyport_http_request_duration_seconds', quantile: 0.99 },
  { name: "gateway's own, 99th percentile", metric: 'sallyport_gateway_overhead_seconds', quantile: 0.99 },
];

/** @param {Record<string, string>} labels */
const reasonOf = ({ decision, reason }) =>
  decision === 'allow' ? 'allowed' : decision === 'deny' ? reason : `${decision}: ${reason}`;

export class Traffic {
  /** @type {import('./metrics.js').Scrape | undefined} */
  #last;
  /** @type {Moment[]} */
  #moments = [];

  /** @param {string} text of /metrics, as it is now */
  show(text) {
    const scrape = { atMs: Date.now(), samples: parseMetrics(text) };
    const before = this.#last;
    this.#last = scrape;
    this.#showRefusals(scrape.samples);
    if (!before) {
      for (const id of ['decisions-chart', 'latency-chart'])
        replace(byId(id), element('p', { class: 'hint' }, 'Watching …'));
      return;
    }
    this.#moments.push(momentBetween(before, scrape));
    if (this.#moments.length > KEPT) this.#moments.shift();
    // A picture of one moment shows nothing.
    if (this.#moments.length < 2) return;
    this.#showDecisions();
    this.#showLatency();
  }

  #showDecisions() {
    const totals = new Map();
    for (const { reasons } of this.#moments)
      for (const [reason, count] of reasons) totals.set(reason, (totals.get(reason) ?? 0) + count);
    const names = [...totals]
      .filter(([name, count]) => count > 0 || name === 'allowed')
      .sort(([a, m], [b, n]) => Number(b === 'allowed') - Number(a === 'allowed') || n - m)
      .map(([name]) => name);
    const shown = names.slice(0, MOST_REASONS);
    const rest = names.slice(MOST_REASONS);
    const series = shown.map((name) => ({
      name,
      values: this.#moments.map(({ reasons }) => reasons.get(name) ?? 0),
    }));
    if (rest.length > 0) {
      const sum = (/** @type {Moment} */ { reasons }) =>
        rest.reduce((total, name) => total + (reasons.get(name) ?? 0), 0);
      series.push({ name: 'others', values: this.#moments.map(sum) });
    }
    drawStack(byId('decisions-chart'), 'Decisions a second', this.#times, series, numberText);
  }

  #showLatency() {
    const series = LATENCIES.map(({ name }, at) => ({
      name,
      values: this.#moments.map(({ latency }) => latency[at]),
    }));
    drawLines(byId('latency-chart'), 'Time of a request', this.#times, series, (seconds) =>
      seconds === 0 ? '0' : seconds < 0.001 ? `${Math.round(seconds * 1e6)} µs` : durationText(seconds),
    );
  }

  /** @param {readonly import('./metrics.js').Sample[]} samples */
  #showRefusals(samples) {
    const sums = sumBy(samples, 'sallyport_auth_decisions_total', (labels) =>
      labels['decision'] === 'allow' ? undefined : `${labels['route']}: ${reasonOf(labels)}`,
    );
    const bars = [...sums]
      .map(([name, value]) => ({ name, value }))
      .sort((a, b) => b.value - a.value)
      .slice(0, MOST_BARS);
    drawBars(byId('refusals-chart'), bars, numberText, 'Nothing was refused.');
  }

  get #times() {
    return this.#moments.map(({ atMs }) => atMs);
  }
}

/**
 * @param {import('./metrics.js').Scrape} before
 * @param {import('./metrics.js').Scrape} after
 * @returns {Moment}
 */
function momentBetween(before, after) {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1000);
  const grown = (
    /** @type {string} */ name,
    /** @type {(labels: Record<string, string>) => string | undefined} */ by,
  ) => growth(sumBy(before.samples, name, by), sumBy(after.samples, name, by));
  const reasons = new Map(
    [...grown('sallyport_auth_decisions_total', reasonOf)].map(([reason, count]) => [
      reason,
      count / seconds,
    ]),
  );
  const latency = LATENCIES.map(({ metric, quantile }) =>
    quantileOf(
      grown(`${metric}_bucket`, ({ le }) => le),
      quantile,
    ),
  );
  return { atMs: after.atMs, reasons, latency };
}
