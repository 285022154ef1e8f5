/** How late the process runs what is due: our histogram and Node's usual gauges, from one timer. */
import t from 'tap';
import type { Clock } from '../../src/clock.ts';
import { EventLoopDelay } from '../../src/telemetry/event-loop-delay.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';

/** Its timer fires when the test says so, late by as much as the test says. */
function setUp() {
  const metrics = new Metrics('1');
  let nowMs = 0;
  let due: { readonly atMs: number; readonly callback: () => void } | undefined;
  const clock: Clock = {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: (delayMs, callback) => {
      due = { atMs: nowMs + delayMs, callback };
      return () => (due = undefined);
    },
  };
  const delay = new EventLoopDelay(metrics.eventLoopDelaySeconds, clock);
  metrics.exposeProcess();
  delay.expose(metrics);
  delay.start();
  return {
    delay,
    isDue: () => due !== undefined,
    late: (byMs: number) => {
      const fired = due;
      if (!fired) throw new Error('no timer waits');
      nowMs = fired.atMs + byMs;
      fired.callback();
    },
    gauges: async () =>
      Object.fromEntries(
        [...(await metrics.text()).body.matchAll(/^nodejs_eventloop_lag_(\w+)_seconds (\S+)$/gm)].map(
          ([, of = '', value]) => [of, Number(value)],
        ),
      ),
    histogram: async () => (await metrics.text()).body.match(/^sallyport_event_loop_delay_seconds_\w+.*$/gm),
  };
}

t.test('where nothing is late the gauges are at nothing, not at the time between two samples', async (t) => {
  const { late, gauges } = setUp();
  for (let sample = 0; sample < 10; sample++) late(0);
  const { max = NaN, mean = NaN, p99 = NaN } = await gauges();
  for (const value of [max, mean, p99]) t.ok(value >= 0 && value < 1e-6, `${value}`);
});

t.test('each scrape has the delays since the one before; without any, the last ones stay', async (t) => {
  const { late, gauges } = setUp();
  t.strictSame(await gauges(), {}, 'nothing was measured yet');
  for (const ms of [10, 20, 30, 40]) late(ms);
  const first = await gauges();
  t.ok(Math.abs((first['min'] ?? 0) - 0.01) < 1e-4);
  t.ok(Math.abs((first['max'] ?? 0) - 0.04) < 1e-4);
  t.ok(Math.abs((first['mean'] ?? 0) - 0.025) < 1e-4);
  t.ok(Math.abs((first['p50'] ?? 0) - 0.02) < 1e-4);
  t.strictSame(await gauges(), first);
  late(500);
  t.ok(Math.abs(((await gauges())['min'] ?? 0) - 0.5) < 1e-3);
});

t.test('a process that stood still for a year goes on, and says so', async (t) => {
  const { late, gauges } = setUp();
  late(31_536_000_000);
  late(0);
  t.ok(((await gauges())['max'] ?? 0) > 8e6);
});

t.test('the histogram counts the same samples, and stop() ends them', async (t) => {
  const { late, histogram, delay, isDue } = setUp();
  late(3);
  late(2_000);
  const lines: readonly string[] = (await histogram()) ?? [];
  t.ok(lines.includes('sallyport_event_loop_delay_seconds_count 2'));
  t.ok(lines.includes('sallyport_event_loop_delay_seconds_bucket{le="0.005"} 1'));
  delay.stop();
  t.notOk(isDue());
});
