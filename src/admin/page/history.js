/** The last ten minutes of each route, from /v1/history: how much was refused and failed, in words and as charts. Pure. */

/**
 * @typedef {(number | null)[]} Steps
 * @typedef {{ route: string, requests: Steps, refused: Steps, failed: Steps, slow?: Steps, p50_ms: Steps, p99_ms: Steps }} RouteHistory
 * @typedef {{ this_gateway: string, step_seconds: number, from: number, routes: RouteHistory[] }} History
 * @typedef {'good' | 'warn' | 'bad' | 'none'} Level
 * @typedef {{ requests: number, refused: number, failed: number, slow: number }} Counts
 * @typedef {Counts & { route: string, level: Level, words: string }} Share
 */

const SHARE_SECONDS = 300;
/** The objective: 99.9 % without a 5xx. */
const FAILED_SOME = 0.001;
const FAILED_MANY = 0.05;
const REFUSED_MANY = 0.2;
const REFUSED_NEARLY_ALL = 0.9;
/** The objective: 99 % within a second. Many: as much as the alert SallyportLatencyBudgetBurnsFast asks for. */
const SLOW_SOME = 0.01;
const SLOW_MANY = 0.144;
/** Fewer requests say little: they are never red. */
const FEW = 10;

/** @param {Steps} steps */
const sum = (steps) => steps.reduce((/** @type {number} */ total, step) => total + (step ?? 0), 0);

/**
 * The worst first, then the busiest.
 *
 * @param {History} history
 * @returns {Share[]}
 */
export function sharesOf({ routes, step_seconds }) {
  const steps = Math.round(SHARE_SECONDS / step_seconds);
  const order = ['bad', 'warn', 'good', 'none'];
  return (
    routes
      // A gateway of an older version has no `slow`.
      .map(({ route, requests, refused, failed, slow = [] }) => {
        const counts = {
          requests: sum(requests.slice(-steps)),
          refused: sum(refused.slice(-steps)),
          failed: sum(failed.slice(-steps)),
          slow: sum(slow.slice(-steps)),
        };
        return { route, ...counts, ...verdictOf(counts) };
      })
      .sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level) || b.requests - a.requests)
  );
}

/**
 * @param {Counts} counts
 * @returns {{ level: Level, words: string }}
 */
function verdictOf({ requests, refused, failed, slow }) {
  if (requests === 0) return { level: 'none', words: 'No requests' };
  const level = requests < FEW ? 'warn' : 'bad';
  const [failedShare, refusedShare, slowShare] = [failed / requests, refused / requests, slow / requests];
  if (failedShare === 1) return { level, words: 'All fail' };
  if (refusedShare === 1) return { level, words: 'All are refused' };
  if (failedShare >= FAILED_MANY) return { level, words: 'Many fail' };
  if (refusedShare >= REFUSED_NEARLY_ALL) return { level, words: 'Nearly all are refused' };
  if (slowShare > SLOW_MANY) return { level, words: 'Many are slow' };
  if (failedShare > FAILED_SOME) return { level: 'warn', words: 'Some fail' };
  if (refusedShare >= REFUSED_MANY) return { level: 'warn', words: 'Many are refused' };
  if (slowShare > SLOW_SOME) return { level: 'warn', words: 'Some are slow' };
  return { level: 'good', words: 'Well' };
}

/**
 * What the charts show: of one route, or of all.
 *
 * @param {History} history
 * @param {string} name of the route; empty: all
 */
export function seriesOf({ routes, from, step_seconds }, name) {
  const meant = routes.filter(({ route }) => name === '' || route === name);
  const length = Math.max(0, ...routes.map(({ requests }) => requests.length));
  const times = Array.from({ length }, (_, step) => from + step * step_seconds);
  const combined = (
    /** @type {(route: RouteHistory) => Steps} */ of,
    /** @type {(values: number[]) => number} */ combine,
  ) =>
    times.map((_, step) => {
      const values = meant.map((route) => of(route)[step] ?? null).filter((value) => value !== null);
      return values.length === 0 ? null : combine(values);
    });
  const rate = (/** @type {number[]} */ values) => sum(values) / step_seconds;
  const slowest = (/** @type {number[]} */ values) => Math.max(...values);
  return {
    times,
    requests: combined(({ requests }) => requests, rate),
    refused: combined(({ refused }) => refused, rate),
    failed: combined(({ failed }) => failed, rate),
    p50: combined(({ p50_ms }) => p50_ms, slowest),
    p99: combined(({ p99_ms }) => p99_ms, slowest),
  };
}
