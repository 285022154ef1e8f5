/**
 * Ten minutes of traffic, in steps of five seconds, so that the first look at an incident has a past. The counters that the
 * metrics keep anyway are read once a step: a request costs nothing here.
 *
 * Steps begin at multiples of five seconds since 1970, so that those of several processes can be added up. Memory: at most
 * about 30 KB for each route that the metrics know.
 */
import type { Clock } from '../clock.ts';
import type { Metrics } from './metrics.ts';

export const STEP_SECONDS = 5;
const STEP_MS = STEP_SECONDS * 1_000;
/** Ten minutes. */
const STEPS = 120;

/** Statuses by which the gateway refuses a request. */
const REFUSED: ReadonlySet<number> = new Set([401, 403, 429]);
const FIRST_SERVER_ERROR = 500;

/** One process's part of the history. Plain data. */
export interface HistoryReport {
  /** Number of the first step: seconds since 1970, divided by STEP_SECONDS. */
  readonly first: number;
  /** For each step: was the traffic read at its end? */
  readonly known: readonly boolean[];
  readonly routes: readonly RouteReport[];
}

/** One number a step, 0 where the step is not known. */
export interface RouteReport {
  readonly route: string;
  readonly requests: readonly number[];
  readonly refused: readonly number[];
  readonly failed: readonly number[];
  /** Requests by their time: one list a step, by the upper bounds of REQUEST_SECONDS and beyond the last one. */
  readonly times: readonly (readonly number[])[];
}

/** What one route has had in all. */
interface Totals {
  requests: number;
  refused: number;
  failed: number;
  times: readonly number[];
}

const NOTHING: Totals = { requests: 0, refused: 0, failed: 0, times: [] };

/** The steps of one route, each at its number modulo STEPS. */
class Series {
  last: Totals = NOTHING;
  readonly #steps: Totals[] = Array.from({ length: STEPS }, () => NOTHING);

  put(step: number, totals: Totals): void {
    this.#steps[step % STEPS] = totals;
  }

  at(step: number): Totals {
    return this.#steps[step % STEPS] ?? NOTHING;
  }
}

export class TrafficHistory {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #series = new Map<string, Series>();
  /** At its number modulo STEPS: the number of a step whose traffic is known. */
  readonly #known: number[] = Array.from({ length: STEPS }, () => -1);
  #first = 0;
  #next = 0;
  #cancel: (() => void) | undefined;

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
  }

  /** Reads the counters at the end of each step from now on. */
  start(): void {
    this.#first = this.#next = Math.floor(this.#clock.nowMs() / STEP_MS);
    this.#wait();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #wait(): void {
    const leftMs = STEP_MS - (this.#clock.nowMs() % STEP_MS);
    this.#cancel = this.#clock.after(leftMs, () => {
      this.#sample();
      this.#wait();
    });
  }

  /** A timer may be a little early or late: the step is the one whose end is nearest. */
  #sample(): void {
    const step = Math.round(this.#clock.nowMs() / STEP_MS) - 1;
    // The wall clock has gone back: what was known has no place any more.
    if (step < this.#next - 1) this.#forget(step);
    const isSame = step === this.#next - 1;
    for (const [route, totals] of this.#totals()) {
      const series = this.#seriesOf(route);
      const change = difference(totals, series.last);
      series.put(step, isSame ? sum(series.at(step), change) : change);
      series.last = totals;
    }
    this.#known[step % STEPS] = step;
    this.#next = step + 1;
  }

  #forget(step: number): void {
    this.#known.fill(-1);
    this.#first = step;
  }

  #seriesOf(route: string): Series {
    let series = this.#series.get(route);
    if (!series) this.#series.set(route, (series = new Series()));
    return series;
  }

  /** By route: what the metrics say now. */
  #totals(): Map<string, Totals> {
    const totals = new Map<string, Totals>([...this.#series.keys()].map((route) => [route, { ...NOTHING }]));
    const of = (route: string): Totals => {
      let known = totals.get(route);
      if (!known) totals.set(route, (known = { ...NOTHING }));
      return known;
    };
    for (const { labels, child } of this.#metrics.requests.held()) {
      const { route = '', code, source } = labels;
      const status = Number(code);
      const known = of(String(route));
      known.requests += child.value;
      if (REFUSED.has(status) && source !== 'upstream') known.refused += child.value;
      if (status >= FIRST_SERVER_ERROR) known.failed += child.value;
    }
    for (const { labels, child } of this.#metrics.requestSeconds.held()) {
      const within = child.counts.reduce((all, count) => all + count, 0);
      of(String(labels['route'] ?? '')).times = [...child.counts, child.count - within];
    }
    return totals;
  }

  /** @param configured routes that are told of even if they had no traffic */
  report(configured: readonly string[]): HistoryReport {
    const first = Math.max(this.#first, this.#next - STEPS);
    const steps = Array.from({ length: this.#next - first }, (_, index) => first + index);
    const isKnown = (step: number): boolean => this.#known[step % STEPS] === step;
    const names = new Set([...configured, ...this.#series.keys()]);
    const routes = [...names].map((route): RouteReport => {
      const series = this.#series.get(route);
      const totals = steps.map((step) => (series && isKnown(step) ? series.at(step) : NOTHING));
      return {
        route,
        requests: totals.map(({ requests }) => requests),
        refused: totals.map(({ refused }) => refused),
        failed: totals.map(({ failed }) => failed),
        times: totals.map(({ times }) => times),
      };
    });
    const quiet = ({ route, requests }: RouteReport): boolean =>
      !configured.includes(route) && requests.every((count) => count === 0);
    return { first, known: steps.map(isKnown), routes: routes.filter((route) => !quiet(route)) };
  }
}

/** A counter that is lower than before has begun again from zero. */
function difference(now: Totals, before: Totals): Totals {
  const since = now.requests < before.requests ? NOTHING : before;
  const requests = now.requests - since.requests;
  // Most steps of most routes are empty: they share one object.
  return requests === 0
    ? NOTHING
    : {
        requests,
        refused: now.refused - since.refused,
        failed: now.failed - since.failed,
        times: now.times.map((count, index) => count - (since.times[index] ?? 0)),
      };
}

function sum(one: Totals, other: Totals): Totals {
  const longer = one.times.length > other.times.length ? one.times : other.times;
  return {
    requests: one.requests + other.requests,
    refused: one.refused + other.refused,
    failed: one.failed + other.failed,
    times: longer.map((_, index) => (one.times[index] ?? 0) + (other.times[index] ?? 0)),
  };
}
