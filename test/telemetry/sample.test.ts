/** Which share of successful requests has lines. */
import t from 'tap';
import { AccessLog } from '../../src/telemetry/access-log.ts';
import { Exchange } from '../../src/telemetry/exchange.ts';
import { RefusalLines } from '../../src/telemetry/refusal-lines.ts';
import { ManualClock } from '../support/manual-clock.ts';

t.test('a line of a sample says of how many it is one', async (t) => {
  const clock = new ManualClock();
  const lines: Record<string, unknown>[] = [];
  const draws = [0.1, 0.3, 0.249, 0.99];
  const log = new AccessLog({
    write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    key: 'k',
    clock,
    refusals: new RefusalLines(clock, () => undefined),
    refusalsASecond: 0,
    sample: 0.25,
    random: () => draws.shift() ?? 1,
  });
  const end = (status: number, more: Partial<Exchange> = {}): void => {
    const exchange = new Exchange('GET', '127.0.0.1', 'id', clock);
    log.write(Object.assign(exchange, { status, ...more }));
  };
  for (const status of [200, 200, 304, 200]) end(status);
  t.strictSame(
    lines.map(({ status, sample }) => [status, sample]),
    [
      [200, 0.25],
      [304, 0.25],
    ],
  );
  lines.length = 0;
  end(404);
  end(499);
  end(200, { failure: 'token_revoked', tries: 1 });
  end(200, { decision: { decision: 'report', reason: 'expired' } });
  end(200, { decision: { decision: 'fail_open', reason: 'ok' } });
  t.equal(lines.length, 5, 'what is no plain success is never left out');
  t.notOk(lines.some((line) => 'sample' in line));
});
