/** The latest refusals: bounded, and not to be flooded away. Rule A5. */
import t from 'tap';
import { insufficientScope, invalidToken } from '../../src/auth-errors.ts';
import { type GatewayError } from '../../src/errors.ts';
import { Exchange } from '../../src/telemetry/exchange.ts';
import { RefusalRing } from '../../src/telemetry/refusal-ring.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { verifiedToken } from '../support/verified-token.ts';

const clock = new ManualClock();
const bad = invalidToken('bad_signature', 'login');

function refuse(ring: RefusalRing, id: string, error: GatewayError, timeMs: number, claims?: object): void {
  const exchange = new Exchange('GET', '203.0.113.9', id, clock);
  exchange.issuerName = error.issuer;
  if (claims) exchange.token = verifiedToken(claims);
  ring.add(exchange, error, { subjectHash: claims && 'hash' }, timeMs);
}

t.test('the latest come first, found by id, route and reason', async (t) => {
  const ring = new RefusalRing();
  refuse(ring, 'a', bad, 1);
  refuse(ring, 'b', insufficientScope('read write'), 2, { sub: 'alice', client_id: 'app', scope: 'read' });
  refuse(ring, 'c', bad, 3);
  const ids = (query: object): string[] =>
    ring.search({ limit: 10, ...query }).map(({ requestId }) => requestId);
  t.strictSame(ids({}), ['c', 'b', 'a']);
  t.strictSame(ids({ limit: 2 }), ['c', 'b']);
  t.strictSame(ids({ requestId: 'a' }), ['a']);
  t.strictSame(ids({ reason: 'bad_signature' }), ['c', 'a']);
  t.strictSame(ids({ route: 'unmatched' }), ['c', 'b', 'a']);
  t.strictSame(ids({ route: 'other' }), []);
  t.match(ring.search({ requestId: 'b', limit: 1 }), [
    {
      status: 403,
      reason: 'insufficient_scope',
      missingScope: 'write',
      subjectHash: 'hash',
      clientId: 'app',
    },
  ]);
});

t.test('a flood of bad tokens is bounded, and does not push out a caller with a good token', async (t) => {
  const ring = new RefusalRing();
  refuse(ring, 'known', insufficientScope('write'), 0, { sub: 'alice' });
  for (let count = 1; count <= 3_000; count++) refuse(ring, `flood-${count}`, bad, count);
  const all = ring.search({ limit: 10_000 });
  t.equal(all.length, 1_001);
  t.equal(all[0]?.requestId, 'flood-3000');
  t.equal(all.at(-1)?.requestId, 'known');
});

t.test('what a token says is cut to a bounded length', async (t) => {
  const ring = new RefusalRing();
  refuse(ring, 'long', insufficientScope('write'), 1, { sub: 'a', client_id: 'c'.repeat(5_000) });
  t.equal(ring.search({ limit: 1 })[0]?.clientId?.length, 256);
});
