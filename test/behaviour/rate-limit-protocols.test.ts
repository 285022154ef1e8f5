/** A refusal by a limit, as each kind of client gets it; and a limit that waits. Rule V2. */
import t from 'tap';
import { alone } from '../../src/assembly/place.ts';
import type { Limiter, Verdict } from '../../src/limits/limiter.ts';
import { send } from '../support/client.ts';
import { checkRequestOf, startAsker } from '../support/ext-authz.ts';
import { until } from '../support/gateway.ts';
import { callUnary, startGrpc, withToken, key as grpcKey } from '../support/grpc.ts';
import { startHttp2 } from '../support/http2.ts';
import { startLimited, statusesOf, tokenOf, two } from '../support/limited.ts';
import { mint } from '../support/tokens.ts';

const HOST = 'api.example.com';

/** How a proxy asks about a GET of /a, in each dialect. */
const DIALECTS: Record<string, [path: string, headers: readonly string[], refusedWith: number]> = {
  forwarded: [
    '/',
    [
      'x-forwarded-method',
      'GET',
      'x-forwarded-proto',
      'https',
      'x-forwarded-host',
      HOST,
      'x-forwarded-uri',
      '/a',
    ],
    429,
  ],
  original: ['/', ['x-original-method', 'GET', 'x-original-uri', '/a'], 403],
  original_url: ['/', ['x-original-method', 'GET', 'x-original-url', `https://${HOST}/a`], 403],
  request: ['/a', [], 429],
};

for (const [dialect, [path, own, status]] of Object.entries(DIALECTS))
  t.test(
    `dialect ${dialect}: limits count what another proxy asks about, and it learns of a refusal by ${status}`,
    async (t) => {
      const listeners = [
        { host: '127.0.0.1', port: 0, serve: 'decisions', dialect, trusted_peers: ['127.0.0.1'] },
      ];
      for (const by of ['subject', 'ip']) {
        const gateway = await startLimited(t, [two(by)], { listeners });
        const asked = { token: tokenOf(), headers: ['x-forwarded-for', '192.0.2.1', ...own] };
        t.strictSame(await statusesOf(gateway, [path, asked], [path, asked]), [200, 200], by);
        const refused = await send(gateway.url, path, asked);
        t.equal(refused.status, status, by);
        t.equal(refused.problem.code, 'rate_limited');
        t.match(refused.headers['retry-after'], /^\d+$/);
        t.equal(refused.headers['ratelimit-policy'], '"two";q=2;w=3600');
        t.equal(refused.headers['ratelimit'], `"two";r=0;t=${refused.headers['retry-after']}`);
        t.equal(refused.headers['www-authenticate'], undefined);
        const other = {
          ...asked,
          token: tokenOf({ sub: 'bob' }),
          headers: ['x-forwarded-for', '192.0.2.2', ...own],
        };
        t.strictSame(await statusesOf(gateway, [path, other]), [200], `${by}: another one`);
      }
    },
  );

t.test('dialect ext_authz: the message denies with 429 and its fields', async (t) => {
  const listeners = [
    {
      host: '127.0.0.1',
      port: 0,
      serve: 'decisions',
      dialect: 'ext_authz',
      protocols: ['h2c'],
      trusted_peers: ['127.0.0.1'],
    },
  ];
  const gateway = await startLimited(t, [two('subject')], { listeners });
  const asker = startAsker(t, gateway.port);
  const asked = checkRequestOf({ path: '/a', headers: ['authorization', `Bearer ${tokenOf()}`] });
  for (let count = 0; count < 2; count++) t.ok((await asker.check(asked)).response?.ok_response);
  const denied = (await asker.check(asked)).response?.denied_response;
  t.equal(denied?.status?.code, 429);
  const fields = new Map(denied?.headers?.map(({ header }) => [header.key, header.value]));
  t.equal(fields.get('ratelimit-policy'), '"two";q=2;w=3600');
  t.equal(fields.get('ratelimit'), `"two";r=0;t=${fields.get('retry-after')}`);
});

t.test('gRPC: status 8, with the fields in its metadata', async (t) => {
  const { client } = await startGrpc(t, { rate_limits: [two('subject')] });
  const metadata = withToken(mint(grpcKey));
  const call = () => callUnary(client, '/test.Echo/unary', metadata, 'x');
  t.strictSame([(await call()).code, (await call()).code], [0, 0]);
  const refused = await call();
  t.equal(refused.code, 8);
  const [seconds] = refused.metadata.get('retry-after');
  t.match(seconds, /^\d+$/);
  t.strictSame(refused.metadata.get('ratelimit'), [`"two";r=0;t=${String(seconds)}`]);
});

t.test('HTTP/2: requests of one connection count like those of many', async (t) => {
  const { send: ask } = await startHttp2(t, { more: { rate_limits: [two('subject')] } });
  const statuses = [];
  for (let count = 0; count < 3; count++) statuses.push(await ask({ ':path': '/x' }));
  t.strictSame(
    statuses.map(({ headers }) => headers[':status']),
    [200, 200, 429],
  );
  t.equal(statuses[2]?.headers['ratelimit-policy'], '"two";q=2;w=3600');
});

/** Lets pass what the test says, later. */
class WaitingLimiter implements Limiter {
  readonly waiting: ((verdict: Verdict) => void)[] = [];
  readonly given: string[] = [];
  readonly overflowed = 0;

  take(): Promise<Verdict> {
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    this.waiting.push(resolve);
    return promise;
  }

  giveBack(key: string): void {
    this.given.push(key);
  }

  look(): Verdict {
    return PASSES;
  }

  close(): void {
    this.waiting.length = 0;
  }
}

const PASSES: Verdict = { allowed: true, remaining: 1, retryAfterMs: 0, fullAfterMs: 1_000 };
const REFUSES: Verdict = { allowed: false, remaining: 0, retryAfterMs: 1_500, fullAfterMs: 9_000 };

t.test('V2 a token that is revoked while a limit waits is refused, whatever the limit says', async (t) => {
  for (const reportOnly of [false, true]) {
    const limiter = new WaitingLimiter();
    const gateway = await startLimited(
      t,
      [two('subject')],
      {},
      { auth: { report_only: reportOnly } },
      {
        place: (loaded, clock) => ({ ...alone(loaded, clock), limiterOf: () => limiter }),
      },
    );
    const token = tokenOf();
    const asked = send(gateway.url, '/a', { token });
    await until(() => limiter.waiting.length > 0);
    t.equal((await gateway.admin('POST', '/v1/revocations', { token })).status, 201);
    limiter.waiting[0]?.(PASSES);
    t.equal((await asked).status, reportOnly ? 200 : 401);
    const decision = reportOnly ? 'report' : 'deny';
    await until(() => gateway.log.some(({ msg }) => msg === 'request'));
    t.match(
      gateway.log.find(({ msg }) => msg === 'request'),
      { auth: { decision, reason: 'revoked' } },
    );
  }
});

t.test('what waits refuses and gives back as what does not', async (t) => {
  const limiters = new Map<string, WaitingLimiter>();
  const gateway = await startLimited(
    t,
    [two('subject'), { name: 'next', by: 'client', rate: '1/1h' }],
    {},
    {},
    {
      place: (loaded, clock) => ({
        ...alone(loaded, clock),
        limiterOf: ({ name }) => {
          const limiter = limiters.get(name) ?? new WaitingLimiter();
          limiters.set(name, limiter);
          return limiter;
        },
      }),
    },
  );
  const [first, second] = ['two', 'next'].map((name) => limiters.get(name));
  const asked = send(gateway.url, '/a', { token: tokenOf() });
  await until(() => first?.waiting.length === 1);
  first?.waiting[0]?.(PASSES);
  await until(() => second?.waiting.length === 1);
  second?.waiting[0]?.(REFUSES);
  const refused = await asked;
  t.equal(refused.status, 429);
  t.equal(refused.headers['retry-after'], '2', 'rounded up');
  t.equal(refused.headers['ratelimit-policy'], '"next";q=1;w=3600');
  t.equal(first?.given.length, 1);
  t.equal(second?.given.length, 0);
});
