/**
 * Rule V17 with a real Redis that is killed (-9) twice in each of 20 rounds, while 500 signals flow: half of them by push, half by poll. What
 * was acknowledged is refused by a gateway that starts afterwards, and so knows what the store has, and nothing else.
 *
 *   SIGNAL_ROUNDS=3 SIGNALS=100 npx tap test/providers/signal-rounds.test.ts
 */
import { env } from 'node:process';
import t from 'tap';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { startHttpTransmitter } from '../support/http-transmitter.ts';
import { startRedis } from '../support/redis.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { claimsOf, createKey, mint, nowSeconds } from '../support/tokens.ts';
import { CAEP, mintSet, opaque, push, PUSH_PATH, RECEIVER, setClaims } from '../support/transmitter.ts';
import { startUpstream } from '../support/upstream.ts';

const ROUNDS = Number(env['SIGNAL_ROUNDS'] ?? 20);
const SIGNALS = Number(env['SIGNALS'] ?? 500);
const KILLS = 2;
const AT_A_TIME = 10;
const SESSION = `${CAEP}session-revoked`;
const SEED = Number(env['SEED'] ?? Date.now() % 1_000_000);

t.test(`V17 0 acknowledged signals lost in ${ROUNDS} rounds of ${SIGNALS}, seed ${SEED}`, async (t) => {
  const random = new SeededRandom(SEED);
  const key = createKey('ES256');
  const [upstream, transmitter] = await Promise.all([startUpstream(t), startHttpTransmitter(t)]);
  const redis = await startRedis(t);
  const start = (): Promise<TestGateway> =>
    startGateway(t, {
      issuers: { login: loginIssuer(key) },
      revocation: { store: redis.url },
      signals: {
        events: {
          issuer: transmitter.url,
          jwks: { keys: [transmitter.key.jwk] },
          audiences: [RECEIVER],
          for: ['login'],
          push: { host: '127.0.0.1', path: PUSH_PATH },
          poll: {},
          stream: { delivery: 'poll' },
          oauth: { token_url: `${transmitter.url}/token`, client_id: 'gateway', client_secret: 'a secret' },
        },
      },
      routes: [{ name: 'all', match: { path_prefix: '/' }, upstream: 'u' }],
      upstreams: { u: { targets: [upstream.url] } },
    });
  const passes = async (gateway: TestGateway, sid: string): Promise<boolean> =>
    (await send(gateway.url, '/', { token: mint(key, claimsOf({ sid })) })).status === 200;

  let gateway = await start();
  const totals = { pushed: 0, polled: 0, tried: 0, lost: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const pushed = new Set<string>();
    const polled = new Map<string, string>();
    const acknowledged = (): string[] => [
      ...pushed,
      ...[...polled].flatMap(([jti, sid]) => (transmitter.acknowledged.has(jti) ? [sid] : [])),
    ];
    const subject = (sid: string): Record<string, unknown> => ({ format: 'complex', session: opaque(sid) });
    const pushOne = async (sid: string): Promise<void> => {
      const claims = setClaims(SESSION, subject(sid), {}, { iss: transmitter.url, iat: nowSeconds() });
      const set = mintSet(claims, {}, transmitter.key);
      await until(async () => {
        totals.tried++;
        const { status } = await push(gateway.url, set);
        if (status === 202) pushed.add(sid);
        return status === 202;
      });
    };
    const sids = Array.from({ length: SIGNALS / 2 }, (_, index) => `${round}-push-${index}`).values();
    const pushing = Promise.all(
      Array.from({ length: AT_A_TIME }, async () => {
        for (const sid of sids) await pushOne(sid);
      }),
    );
    for (let index = 0; index < SIGNALS / 2; index++) {
      const sid = `${round}-poll-${index}`;
      polled.set(transmitter.offer(SESSION, {}, { sub_id: subject(sid) }), sid);
    }
    for (let kill = 0; kill < KILLS; kill++) {
      const part = SIGNALS / KILLS;
      const after = kill * part + random.below(part);
      await until(() => acknowledged().length >= Math.min(after, SIGNALS - 1));
      await redis.kill();
      await redis.start();
    }
    await pushing;
    await until(() => acknowledged().length === SIGNALS);
    await gateway.stop();
    gateway = await start();
    const lost: string[] = [];
    const checked = acknowledged().values();
    await Promise.all(
      Array.from({ length: AT_A_TIME }, async () => {
        for (const sid of checked) if (await passes(gateway, sid)) lost.push(sid);
      }),
    );
    t.strictSame(lost, [], `round ${round + 1}: 0 of ${SIGNALS} lost`);
    totals.pushed += pushed.size;
    totals.polled += polled.size;
    totals.lost += lost.length;
  }
  t.ok(await passes(gateway, 'another'));
  t.equal(Object.keys(transmitter.refused).length, 0, 'none was refused');
  t.comment(JSON.stringify(totals));
});
