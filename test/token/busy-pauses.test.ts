/** Who waits where an authority limits its rate. Rule C23. */
import t from 'tap';
import { GatewayError } from '../../src/errors.ts';
import {
  AuthorizationServerGuard,
  Busy,
  type AuthorizationServerCallResult,
} from '../../src/token/authorization-server-guard.ts';

const FLOODER = '203.0.113.66';
const OTHER = '198.51.100.7';
const THIRD = '192.0.2.9';

/** A server with a limit of calls in each second, and the guard before it, on one clock that the test moves. */
function limited(perSecond: number) {
  const clock = { ms: 0, nowMs: () => clock.ms, monotonicMs: () => clock.ms, after: () => () => undefined };
  const calls = new Map<number, number>();
  const server = { perSecond, asked: 0, latencyMs: 0 };
  const counts: Partial<Record<AuthorizationServerCallResult, number>> = {};
  const guard = new AuthorizationServerGuard({
    issuerName: 'partner',
    source: {
      async ask(token) {
        server.asked++;
        const second = Math.floor(clock.ms / 1000);
        calls.set(second, (calls.get(second) ?? 0) + 1);
        if ((calls.get(second) ?? 0) > server.perSecond) throw new Busy('busy', '10');
        return token.startsWith('good') ? { active: true, claims: {} } : { active: false };
      },
    },
    limits: { inFlight: 0, perSecond: 0 },
    clock,
    count: (result) => (counts[result] = (counts[result] ?? 0) + 1),
  });
  let number = 0;
  const ask = async (client: string, kind = 'good'): Promise<string> => {
    const token = `${kind}-${number++}`;
    try {
      return String((await guard.ask(token, token, client)).active);
    } catch (error) {
      if (error instanceof GatewayError) return String(error.status);
      throw error;
    }
  };
  return { clock, server, counts, ask };
}

t.test('C23 one client that exceeds the rate of the server shuts it for no other client', async (t) => {
  const { clock, ask } = limited(100);
  let [passed, refused, streak, longest] = [0, 0, 0, 0];
  for (clock.ms = 0; clock.ms < 30_000; clock.ms += 5) {
    await ask(FLOODER, 'garbage');
    if (clock.ms % 200 !== 100) continue;
    const isGood = (await ask(OTHER)) === 'true';
    if (isGood) passed++;
    else refused++;
    streak = isGood ? 0 : streak + 1;
    longest = Math.max(longest, streak);
  }
  t.equal(passed + refused, 150);
  t.ok(
    longest <= 5,
    `${longest} in a row: it waits for the rest of a second in which the server limits, no longer`,
  );
  t.ok(refused <= 15, `${refused} of 150 were refused`);
});

t.test(
  'C23 a server that still limits although the first client is silent is left alone by all',
  async (t) => {
    const { clock, server, ask } = limited(0);
    t.equal(await ask(FLOODER), '503');
    t.equal(await ask(FLOODER), '503');
    t.equal(server.asked, 1, 'the first client waits');
    clock.ms += 1_001;
    t.equal(await ask(OTHER), '503');
    t.equal(server.asked, 2);
    t.equal(await ask(THIRD), '503');
    t.equal(server.asked, 2, 'and now all wait');
    server.perSecond = 100;
    clock.ms += 10_000;
    for (const client of [FLOODER, OTHER, THIRD]) t.equal(await ask(client), 'true', client);
  },
);

t.test('C23 a client that is limited within a second of another pauses itself alone', async (t) => {
  const { clock, server, ask } = limited(0);
  await ask(FLOODER);
  clock.ms += 1_000;
  await ask(OTHER);
  server.perSecond = 100;
  t.equal(await ask(THIRD), 'true');
});

t.test(
  'C23 of two clients that are limited at once, the one that called less waits for a second',
  async (t) => {
    for (const first of [FLOODER, OTHER]) {
      const { clock, server, ask } = limited(100);
      for (let index = 0; index < 100; index++) await ask(FLOODER);
      server.perSecond = 0;
      const second = first === FLOODER ? OTHER : FLOODER;
      for (const client of [first, second]) t.equal(await ask(client), '503');
      server.perSecond = 1_000;
      clock.ms += 1_002;
      t.equal(await ask(THIRD), 'true');
      t.equal(await ask(FLOODER), '503');
      if (first === FLOODER) t.equal(await ask(OTHER), 'true');
    }
  },
);
