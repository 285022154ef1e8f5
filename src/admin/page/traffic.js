/** How the routes do, as tiles and charts (from /v1/history), and what is refused and why (from /metrics). */
import { drawBars } from './bars.js';
import { Chart } from './charts.js';
import { byId, durationText, element, numberText } from './dom.js';
import { seriesOf, sharesOf } from './history.js';
import { lowerFirst, tile } from './health.js';
import { parseMetrics, sumBy } from './metrics.js';

const MOST_TILES = 24;
const MOST_BARS = 8;

/** @param {Record<string, string>} labels */
const reasonOf = ({ decision, reason }) => (decision === 'deny' ? reason : `${decision}: ${reason}`);

/** @param {number} share */
export function percentText(share) {
  return `${share > 0 && share < 0.001 ? '< 0.1' : Number((100 * share).toPrecision(3))} %`;
}

/** @typedef {import('./history.js').History} History */

export class Traffic {
  /** @type {History | undefined} */
  #history;
  /** @type {{ requests: Chart, latency: Chart } | undefined} */
  #charts;

  /**
   * @param {History | undefined} history undefined: this gateway keeps none
   * @returns {import('./health.js').Finding[]} what is wrong, one for each route
   */
  showHistory(history) {
    for (const id of ['shares-part', 'charts-part']) byId(id).hidden = history === undefined;
    this.#history = history;
    if (!history) return [];
    this.#offerRoutes(history);
    this.#drawCharts(history);
    const shares = sharesOf(history);
    this.showShares();
    return shares.flatMap(({ route, level, words }) =>
      level === 'bad' || level === 'warn' ? [{ level, words: `route ${route}: ${lowerFirst(words)}` }] : [],
    );
  }

  /** @param {string} [asOf] when the gateway was last heard, if it is gone */
  showShares(asOf) {
    if (!this.#history) return;
    const shares = sharesOf(this.#history);
    const busy = shares.filter(({ level }) => level !== 'none');
    const shown = busy.slice(0, MOST_TILES);
    byId('shares').replaceChildren(
      ...shown.map(({ route, requests, refused, failed, slow, level, words }) =>
        tile(
          {
            title: `Route ${route}`,
            level: level === 'none' ? 'good' : level,
            state: words,
            more: `${percentText(refused / requests)} refused, ${percentText(failed / requests)} failed${slow > 0 ? `, ${percentText(slow / requests)} slow` : ''} of ${numberText(requests)} ${requests === 1 ? 'request' : 'requests'}`,
          },
          asOf,
        ),
      ),
    );
    const idle = shares.filter(({ level }) => level === 'none').map(({ route }) => route);
    const words = [
      ...(busy.length > MOST_TILES ? [`${busy.length - MOST_TILES} more routes have requests.`] : []),
      ...(idle.length > 0 ? [`No requests: ${idle.join(', ')}.`] : []),
      'Refused: 401, 403 and 429 of the gateway. Failed: every 5xx. Slow: more than a second.',
    ];
    byId('shares-rest').textContent = words.join(' ');
  }

  /** @param {string} text of /metrics */
  showRefusals(text) {
    const sums = sumBy(parseMetrics(text), 'sallyport_auth_decisions_total', (labels) =>
      labels['decision'] === 'allow' ? undefined : `${labels['route']}: ${reasonOf(labels)}`,
    );
    const bars = [...sums]
      .map(([name, value]) => ({ name, value }))
      .sort((a, b) => b.value - a.value)
      .slice(0, MOST_BARS);
    drawBars(byId('refusals-chart'), bars, numberText, 'Nothing was refused.');
  }

  /** @param {History} history */
  #offerRoutes({ routes }) {
    const select = byId('chart-route');
    const names = ['', ...routes.map(({ route }) => route)];
    if (names.join('\n') === [...select.options].map(({ value }) => value).join('\n')) return;
    const chosen = select.value;
    select.replaceChildren(
      ...names.map((name) => element('option', { value: name }, name === '' ? 'All routes' : name)),
    );
    select.value = names.includes(chosen) ? chosen : '';
    select.onchange = () => this.#history && this.#drawCharts(this.#history);
  }

  /** @param {History} history */
  #drawCharts(history) {
    this.#charts ??= {
      requests: new Chart(
        byId('requests-chart'),
        [
          { name: 'all', color: '0' },
          { name: 'refused', color: '1', dash: [6, 3] },
          { name: 'failed', color: '3', dash: [2, 2] },
        ],
        numberText,
      ),
      latency: new Chart(
        byId('latency-chart'),
        [
          { name: 'median', color: '0' },
          { name: '99th percentile', color: '2', dash: [6, 3] },
        ],
        (ms) => durationText(ms / 1000),
      ),
    };
    const route = byId('chart-route').value;
    const { times, requests, refused, failed, p50, p99 } = seriesOf(history, route);
    byId('latency-chart').querySelector('figcaption').textContent =
      route === '' ? 'Time of a request, of the slowest route' : 'Time of a request';
    this.#charts.requests.show(times, [requests, refused, failed]);
    this.#charts.latency.show(times, [p50, p99]);
  }
}
