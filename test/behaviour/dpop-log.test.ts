/** What the night engineer sees of proofs: in the log, among the refusals, at /readyz and in the status. Rules A5, D14. */
import t, { type Test } from 'tap';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { proofKey, type ProofOptions } from '../support/proofs.ts';
import { startRedis } from '../support/redis.ts';
import { claimsOf, createKey, mint, nowSeconds } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const PUBLIC_URL = 'https://api.example.com';
const key = createKey('ES256');
const holder = proofKey();
const stranger = proofKey();
const upstream = await startUpstream(t);
const token = mint(key, claimsOf({ cnf: { jkt: holder.thumbprint } }));

const route = (name: string, changes: object = {}): object => ({
  name,
  match: { path_prefix: `/${name}` },
  public_url: PUBLIC_URL,
  upstream: 'u',
  when_stale: 'allow',
  auth: { sender_constrained: 'optional' },
  ...changes,
});
const configuration = (more: object = {}): Record<string, unknown> => ({
  issuers: { login: loginIssuer(key) },
  routes: [route('orders'), route('lenient', { when_replay_unknown: 'allow' })],
  upstreams: { u: { targets: [upstream.url] } },
  ...more,
});

interface Proven extends Partial<ProofOptions> {
  readonly by?: typeof holder;
  /** In place of one made of the other options. */
  readonly proofs?: readonly string[];
  readonly path?: string;
}

async function statusOf(gateway: TestGateway, options: Proven = {}): Promise<number> {
  const { by = holder, path = '/orders', proofs, ...changes } = options;
  const sent = proofs ?? [by.proof({ url: `${PUBLIC_URL}${path}`, token, ...changes })];
  const headers = ['Authorization', `DPoP ${token}`, ...sent.flatMap((each) => ['DPoP', each])];
  return (await send(gateway.url, path, { headers })).status;
}

t.test('A5 the line of a refused proof names the check, and so does /v1/refusals', async (t) => {
  const gateway = await startGateway(t, configuration({ log: { refusals: 0 } }));
  const used = holder.proof({ url: `${PUBLIC_URL}/orders`, token });
  t.equal(await statusOf(gateway, { proofs: [used] }), 200);
  t.match(gateway.log.at(-1), { auth: { decision: 'allow', binding: 'dpop' } });
  const kinds: readonly [Proven, string][] = [
    [{ proofs: [] }, 'the request has no DPoP header, or more than one'],
    [{ proofs: ['x'.repeat(9_000)] }, 'the proof is longer than 8 KiB'],
    [{ proofs: ['x'] }, 'the DPoP header is not one well-formed JWT'],
    [{ header: { typ: 'JWT' } }, 'typ of the proof is not dpop+jwt'],
    [{ header: { alg: 'HS256' } }, 'alg of the proof is not among dpop.algorithms'],
    [{ header: { jwk: undefined } }, 'jwk of the proof is missing, or no public key of EC, RSA or OKP'],
    [{ by: stranger }, 'the key of the proof is not the one that the token is bound to'],
    [
      { claims: { jti: undefined } },
      'the proof has no jti (of 1 to 256 characters), htm, htu, iat or ath, or one of another type',
    ],
    [{ method: 'POST' }, 'htm of the proof is not the method of the request'],
    [{ url: 'https://other.example/orders' }, 'htu of the proof is not the URL of the request'],
    [{ token: 'another' }, 'ath of the proof is not the hash of the token'],
    [
      { iat: nowSeconds() - 600 },
      'iat of the proof is older than dpop.max_age, or further ahead than dpop.future_iat',
    ],
    [{ claims: { exp: nowSeconds() - 1 } }, 'the proof is not valid now, by its exp or nbf'],
    [{ proofs: [`${used.slice(0, -8)}AAAAAAAA`] }, 'the signature of the proof is not by its jwk'],
    [{ proofs: [used] }, 'it was used before'],
  ];
  for (const [options, cause] of kinds) {
    t.equal(await statusOf(gateway, options), 401, cause);
    t.match(gateway.log.filter(({ msg }) => msg === 'request').at(-1), {
      error: 'invalid_dpop_proof',
      cause,
      auth: { decision: 'deny', reason: 'proof', binding: 'dpop' },
    });
  }
  const { refusals } = (await (await gateway.admin('GET', '/v1/refusals?reason=proof')).json()) as {
    refusals: { detail: string }[];
  };
  t.strictSame(
    refusals.map(({ detail }) => detail),
    kinds.map(([, cause]) => cause).toReversed(),
  );
  const warned = gateway.log.filter(({ msg }) => String(msg).startsWith('tokens are refused'));
  t.strictSame(
    warned.map(({ detail }) => detail),
    ['alg of the proof is not among dpop.algorithms', 'htu of the proof is not the URL of the request'],
    'of these alone the configuration may be the cause',
  );
});

t.test('A5 the log says what a token is bound to, and nothing more of it', async (t) => {
  const gateway = await startGateway(t, configuration());
  const certificate = 'A'.repeat(43);
  const bindings: readonly [object | undefined, string | undefined][] = [
    [{ jkt: holder.thumbprint }, 'dpop'],
    [{ 'x5t#S256': certificate }, 'certificate'],
    [{ jkt: holder.thumbprint, 'x5t#S256': certificate }, 'dpop_and_certificate'],
    [undefined, undefined],
  ];
  for (const [cnf, binding] of bindings) {
    await send(gateway.url, '/orders', { token: mint(key, claimsOf({ ...(cnf && { cnf }) })) });
    const line = gateway.log.at(-1) as { auth: { binding?: string } };
    t.equal(line.auth.binding, binding);
    t.notMatch(JSON.stringify(line), new RegExp(`${holder.thumbprint}|${certificate}`));
  }
});

const readyz = async (gateway: TestGateway): Promise<string> =>
  (await fetch(`${gateway.adminUrl}/readyz?verbose`)).text();

async function usedProofs(gateway: TestGateway): Promise<unknown> {
  const status = (await (await gateway.admin('GET', '/v1/status')).json()) as { used_proofs: unknown };
  return status.used_proofs;
}

t.test('D14 the memory of used proofs is lost and comes back: one line each', async (t) => {
  const redis = await startRedis(t);
  const clock = new ManualClock();
  const gateway = await startGateway(t, configuration({ revocation: { store: redis.url } }), { clock });
  const lines = (): Record<string, unknown>[] =>
    gateway.log.filter(({ msg }) => String(msg).startsWith('the memory of used proofs'));
  const sends = (options: Proven = {}): Promise<number> =>
    statusOf(gateway, { iat: Math.floor(clock.nowMs() / 1000), ...options });
  t.match(await readyz(gateway), /\[\+\] used proofs: no proof has come yet\nok\n$/);
  t.equal(await sends(), 200);
  t.match(await readyz(gateway), /\[\+\] used proofs\nok\n$/);
  t.match(await usedProofs(gateway), { available: true, unavailable_seconds: null, refusing: [] });
  t.equal(await gateway.metric('sallyport_dpop_proofs_total{result="replayed"}'), 0, 'there from the start');
  await redis.kill();
  t.equal(await sends(), 503);
  t.match(gateway.log.at(-1), { level: 'warn', error: 'replay_unavailable', cause: /./ });
  t.equal(await sends({ path: '/lenient' }), 200);
  t.match(gateway.log.at(-1), {
    cause: 'it is not known whether the proof was used before',
    auth: { decision: 'fail_open' },
  });
  t.match(lines(), [{ level: 'error', store: `127.0.0.1:${redis.port}`, error: /./ }]);
  t.match(
    String(lines()[0]?.['msg']),
    /is unavailable; requests with a proof get 503 on orders, and a proof that was used before passes on lenient$/,
  );
  t.match(await readyz(gateway), /\[-\] used proofs: the store is unavailable; 503 on orders\ndegraded\n$/);
  clock.advance(3_000);
  t.match(await usedProofs(gateway), {
    available: false,
    full: false,
    unavailable_seconds: /^3\b/,
    refusing: ['orders'],
    passing: ['lenient'],
  });
  await redis.start();
  await until(() => {
    clock.advance(500);
    return lines().length === 2;
  });
  t.match(lines()[1], { level: 'info', store: `127.0.0.1:${redis.port}` });
  t.ok(Number(lines()[1]?.['lost_seconds']) >= 5, 'no proof had to come');
  t.match(await readyz(gateway), /\[\+\] used proofs\n/);
  clock.advance(20_000);
  t.equal(lines().length, 2, 'nothing is said twice');
});

t.test(
  'D14 a full memory says so, and where proofs are taken by no route nothing is said',
  async (t: Test) => {
    const full = await startGateway(t, configuration({ dpop: { remembered: { entries: 1 } } }));
    t.equal(await statusOf(full), 200);
    t.equal(await statusOf(full), 503);
    t.match(full.log.at(-1), { cause: /the memory of used proofs is full/ });
    t.match(await readyz(full), /\[-\] used proofs: the store is full; 503 on orders\ndegraded\n$/);
    t.match(await usedProofs(full), { available: false, full: true });
    const plain = await startGateway(t, configuration({ routes: [route('orders', { auth: {} })] }));
    t.notMatch(await readyz(plain), /used proofs/);
    t.equal(await usedProofs(plain), null);
  },
);
