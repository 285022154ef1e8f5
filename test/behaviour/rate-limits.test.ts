/** How many requests each caller may send: which bucket counts a request, and what a refusal looks like. Rules L1, L3, V2. */
import t, { type Test } from 'tap';
import type { SendOptions } from '../support/client.ts';
import { advance, loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { sendBefore, startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const partnerKey = createKey('ES256');
const upstream = await startUpstream(t);
const ask = sendBefore(upstream);
const tokenOf = (changes: Record<string, unknown> = {}): string => mint(key, claimsOf(changes));

type Limit = Record<string, unknown>;

/** Limits of an hour: the time that a test takes gives nothing back. */
async function startLimited(
  t: Test,
  limits: readonly Limit[],
  more: Record<string, unknown> = {},
  route: Record<string, unknown> = {},
): Promise<TestGateway> {
  return startGateway(
    t,
    {
      issuers: {
        login: { ...loginIssuer(key), claim_names: { tenant: 'tenant' } },
        partner: { ...loginIssuer(partnerKey), issuer: 'https://partner.example.com' },
      },
      routes: [
        { name: 'a', match: { path_prefix: '/a' }, upstream: 'u', rate_limits: limits, ...route },
        { name: 'b', match: { path_prefix: '/b' }, upstream: 'u', rate_limits: limits, ...route },
        { name: 'free', match: { path_prefix: '/free' }, upstream: 'u' },
      ],
      upstreams: { u: { targets: [upstream.url] } },
      ...more,
    },
    { clock: new ManualClock() },
  );
}

/** The statuses of requests that come one after the other. */
async function statusesOf(
  { url }: TestGateway,
  ...requests: readonly (readonly [path: string, options: SendOptions])[]
): Promise<number[]> {
  const statuses: number[] = [];
  for (const [path, options] of requests) statuses.push((await ask(url, path, options)).status);
  return statuses;
}

const two = (by: unknown, more: Limit = {}): Limit => ({ name: 'two', by, rate: '2/1h', ...more });

t.test(
  'a caller may send as many requests as its limit says, and gets one back as time passes',
  async (t) => {
    const clock = new ManualClock();
    const gateway = await startGateway(
      t,
      {
        issuers: { login: loginIssuer(key) },
        routes: [
          {
            name: 'a',
            match: { path_prefix: '/' },
            upstream: 'u',
            rate_limits: [{ name: 'calls', by: 'subject', rate: '60/1h', burst: 3 }],
          },
        ],
        upstreams: { u: { targets: [upstream.url] } },
      },
      { clock },
    );
    const token = tokenOf();
    const four = Array.from({ length: 4 }, () => ['/', { token }] as const);
    t.strictSame(await statusesOf(gateway, ...four), [200, 200, 200, 429]);
    await advance(gateway, clock, 60_000);
    t.strictSame(await statusesOf(gateway, ...four.slice(2)), [200, 429]);
    t.equal((await ask(gateway.url, '/', { token: tokenOf({ sub: 'bob' }) })).status, 200, 'another subject');
  },
);

t.test('a refusal says how long to wait and which limit it was', async (t) => {
  const gateway = await startLimited(t, [two('subject')]);
  const token = tokenOf();
  await statusesOf(gateway, ['/a', { token }], ['/a', { token }]);
  const refused = await ask(gateway.url, '/a', { token });
  t.equal(refused.status, 429);
  t.equal(refused.headers['content-type'], 'application/problem+json');
  t.match(refused.problem, { status: 429, code: 'rate_limited', type: 'urn:sallyport:problem:rate_limited' });
  const seconds = Number(refused.headers['retry-after']);
  t.ok(seconds > 1790 && seconds <= 1800, `Retry-After is ${seconds}`);
  t.equal(refused.headers['ratelimit-policy'], '"two";q=2;w=3600');
  t.equal(refused.headers['ratelimit'], `"two";r=0;t=${seconds}`);
  t.equal(refused.headers['www-authenticate'], undefined);
  const line = gateway.log.find(({ status }) => status === 429);
  t.match(line, { error: 'rate_limited', limit: 'two', route: 'a', auth: { decision: 'allow' } });
  t.equal(
    await gateway.metric('sallyport_rate_limited_requests_total{route="a",limit="two",mode="enforced"}'),
    1,
  );
});
