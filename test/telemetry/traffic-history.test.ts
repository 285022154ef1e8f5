/** Ten minutes of traffic in steps of five seconds. Rule A9. */
import t from 'tap';
import { historyJson, type RouteHistoryJson } from '../../src/admin/history-json.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { TrafficHistory } from '../../src/telemetry/traffic-history.ts';
import { ManualClock } from '../support/manual-clock.ts';

class Station {
  readonly clock = new ManualClock();
  readonly metrics = new Metrics('0');
  readonly history = new TrafficHistory(this.metrics, this.clock);

  constructor() {
    this.toNextStep();
    this.history.start();
  }

  toNextStep(): void {
    // Well into it: real time counts as well, and timers may come late.
    this.clock.advance(5_500 - (this.clock.nowMs() % 5_000));
  }

  respond(route: string, status: number, source = 'gateway', seconds = 0.003): void {
    this.metrics.requests.child(route, 'GET', status, source).value++;
    this.metrics.requestSeconds.child(route).observe(seconds);
  }

  route(name = 'r', configured: readonly string[] = []): RouteHistoryJson | undefined {
    return historyJson('g', [this.history.report(configured)]).routes.find(({ route }) => route === name);
  }
}

t.test('each step has its own requests, refusals, failures and times', async (t) => {
  const station = new Station();
  station.respond('r', 200, 'upstream', 0.002);
  station.respond('r', 403, 'upstream', 0.002);
  for (const status of [401, 403, 429]) station.respond('r', status);
  station.toNextStep();
  station.respond('r', 502);
  station.respond('r', 500, 'upstream', 0.2);
  station.toNextStep();
  station.toNextStep();
  const route = station.route();
  t.match(route, { requests: [5, 2, 0], refused: [3, 0, 0], failed: [0, 2, 0], slow: [0, 0, 0] });
  t.equal(route?.p50_ms.length, 3);
  t.ok((route?.p50_ms[0] ?? 0) > 2 && (route?.p50_ms[0] ?? 0) <= 5, 'within the bucket of most requests');
  t.ok((route?.p99_ms[1] ?? 0) > 100 && (route?.p99_ms[1] ?? 0) <= 250);
  t.equal(route?.p99_ms[2], null, 'no request, no time');
  const { step_seconds, from } = historyJson('g', [station.history.report([])]);
  t.equal(step_seconds, 5);
  t.equal(from, Math.floor(station.clock.nowMs() / 5_000) * 5 - 15);
});

t.test('slow is what takes more than a second', async (t) => {
  const station = new Station();
  for (const seconds of [0.9, 1, 1.1, 2, 100]) station.respond('r', 200, 'upstream', seconds);
  station.toNextStep();
  t.strictSame(station.route()?.slow, [3]);
});

t.test('a response that takes longer than the last bucket counts as that bound', async (t) => {
  const station = new Station();
  station.respond('r', 200, 'upstream', 100);
  station.toNextStep();
  t.strictSame(station.route()?.p50_ms, [30_000]);
});

t.test(
  'at most ten minutes are kept, and a quiet route is told of only where it is configured',
  async (t) => {
    const station = new Station();
    station.respond('r', 200);
    for (let step = 0; step < 120; step++) station.toNextStep();
    t.equal(station.route()?.requests.length, 120);
    t.equal(station.route()?.requests[0], 1);
    station.toNextStep();
    t.equal(station.route(), undefined);
    t.strictSame(station.route('r', ['r'])?.requests, Array(120).fill(0));
    t.strictSame(station.route('new', ['new'])?.requests, Array(120).fill(0));
  },
);

t.test('steps at which the process stood still are null, and their requests are not lost', async (t) => {
  const station = new Station();
  station.toNextStep();
  station.respond('r', 200);
  station.clock.advance(15_000);
  t.strictSame(station.route()?.requests, [0, null, null, 1]);
});

t.test('A9 a wall clock that steps back begins the history again, and counts go on', async (t) => {
  const station = new Station();
  station.respond('r', 200);
  station.toNextStep();
  station.clock.stepWall(-3_600_000);
  station.respond('r', 200);
  station.toNextStep();
  t.strictSame(station.route()?.requests, [1]);
  station.respond('r', 200);
  station.toNextStep();
  t.strictSame(station.route()?.requests, [1, 1]);
});

t.test('a counter that begins again from zero takes nothing away', async (t) => {
  const station = new Station();
  for (let count = 0; count < 5; count++) station.respond('r', 200);
  station.toNextStep();
  station.metrics.requests.reset();
  station.metrics.requestSeconds.reset();
  station.respond('r', 200);
  station.toNextStep();
  t.strictSame(station.route()?.requests, [5, 1]);
});

t.test('the parts of several processes add up, also where one began later', async (t) => {
  const part = (first: number, requests: readonly number[]) => ({
    first,
    known: requests.map(() => true),
    routes: [
      { route: 'r', requests, refused: requests, failed: requests, times: requests.map((count) => [count]) },
    ],
  });
  const json = historyJson('g', [part(10, [1, 2]), part(11, [10, 20]), { first: 10, known: [], routes: [] }]);
  t.equal(json.from, 50);
  t.match(json.routes, [{ requests: [1, 12, 20], failed: [1, 12, 20], p50_ms: [0.5, 0.5, 0.5] }]);
  t.strictSame(historyJson('g', []).routes, []);
});
