/** How many requests each caller may send, and what a refusal says. Rules L1, L3. */
import t from 'tap';
import { rateLimits } from '../../src/config/rate-limit-schema.ts';
import { send } from '../support/client.ts';
import { advance, until } from '../support/gateway.ts';
import { key, startLimited, statusesOf, tokenOf, two, type Limit } from '../support/limited.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

t.test(
  'a caller may send as many requests as its limit says, and gets one back as time passes',
  async (t) => {
    const clock = new ManualClock();
    const calls = { name: 'calls', by: 'subject', rate: '60/1h', burst: 3 };
    const gateway = await startLimited(t, [calls], {}, {}, { clock });
    const token = tokenOf();
    const four = Array.from({ length: 4 }, () => ['/a', { token }] as const);
    t.strictSame(await statusesOf(gateway, ...four), [200, 200, 200, 429]);
    await advance(gateway, clock, 60_000);
    t.strictSame(await statusesOf(gateway, ...four.slice(2)), [200, 429]);
    t.equal(
      (await send(gateway.url, '/a', { token: tokenOf({ sub: 'bob' }) })).status,
      200,
      'another subject',
    );
  },
);

t.test('a refusal says how long to wait and which limit it was', async (t) => {
  const gateway = await startLimited(t, [two('subject')]);
  const token = tokenOf();
  await statusesOf(gateway, ['/a', { token }], ['/a', { token }]);
  const refused = await send(gateway.url, '/a', { token });
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

t.test('L3 a limit by ip refuses before anything looks at the token, and no claim changes it', async (t) => {
  const gateway = await startLimited(t, [two('ip')]);
  const [alice, bob] = [tokenOf(), tokenOf({ sub: 'bob' })];
  const stranger = mint(createKey('ES256', key.kid), claimsOf());
  t.strictSame(await statusesOf(gateway, ['/a', { token: stranger }], ['/a', {}]), [401, 401]);
  const decisions = (): Promise<number> =>
    gateway.metric(
      'sallyport_auth_decisions_total{route="a",issuer="login",decision="deny",reason="bad_signature"}',
    );
  t.equal(await decisions(), 1);
  t.strictSame(
    await statusesOf(
      gateway,
      ['/a', { token: stranger }],
      ['/a', { token: alice }],
      ['/a', { token: bob }],
      ['/a?access_token=x', {}],
    ),
    [429, 429, 429, 429],
  );
  t.equal(await decisions(), 1, 'nothing more was verified');
  for (const { auth } of gateway.log.filter(({ status }) => status === 429)) t.equal(auth, undefined);
});

t.test('L3 a token that is refused uses up nothing of what its subject may send', async (t) => {
  const gateway = await startLimited(t, [two('subject')], {}, { auth: { scopes: ['orders:read'] } });
  const stolen = tokenOf();
  t.equal((await gateway.admin('POST', '/v1/revocations', { token: stolen })).status, 201);
  const bad = [stolen, tokenOf({ scope: 'other' }), mint(createKey('ES256', key.kid), claimsOf())];
  const refused = [...bad, ...bad].map((token) => ['/a', { token }] as const);
  t.strictSame(await statusesOf(gateway, ...refused), [401, 403, 401, 401, 403, 401]);
  const token = tokenOf();
  t.strictSame(await statusesOf(gateway, ['/a', { token }], ['/a', { token }]), [200, 200]);
});

t.test('report_only counts and tells, and refuses nothing', async (t) => {
  const gateway = await startLimited(t, [two('subject', { report_only: true })], {
    log: { sample: 0, refusals: 0 },
  });
  const token = tokenOf();
  const three = Array.from({ length: 3 }, () => ['/a', { token }] as const);
  t.strictSame(await statusesOf(gateway, ...three), [200, 200, 200]);
  t.equal(
    await gateway.metric('sallyport_rate_limited_requests_total{route="a",limit="two",mode="reported"}'),
    1,
  );
  await until(() => gateway.log.some(({ msg }) => msg === 'request'));
  const lines = gateway.log.filter(({ msg }) => msg === 'request');
  t.equal(lines.length, 1, 'of the requests that a sample leaves out, only this one is written');
  t.match(lines[0], { status: 200, over_limits: ['two'], limit: undefined });
});

t.test('auth.report_only of a route does not switch its limits off', async (t) => {
  const limits = [two('subject'), { name: 'address', by: 'ip', rate: '5/1h' }];
  const gateway = await startLimited(t, limits, {}, { auth: { report_only: true, scopes: ['none'] } });
  const token = tokenOf();
  t.strictSame(
    await statusesOf(gateway, ...Array.from({ length: 6 }, () => ['/a', { token }] as const)),
    [200, 200, 429, 429, 429, 429],
  );
  t.strictSame(
    gateway.log.flatMap(({ limit }) => limit ?? []),
    ['two', 'two', 'two', 'address'],
  );
});

t.test('a limit lasts over a reload, unless it means something else then', async (t) => {
  const gateway = await startLimited(t, [two('subject')]);
  const token = tokenOf();
  const reload = async (limits: readonly Limit[]): Promise<void> => {
    const { configuration } = gateway.loaded;
    const text = JSON.stringify(limits);
    const parsed = rateLimits.parse(JSON.parse(text));
    const routes = configuration.routes.map((route) =>
      route.name === 'free' ? route : { ...route, rate_limits: parsed },
    );
    await gateway.instance.reload({ ...gateway.loaded, configuration: { ...configuration, routes } });
  };
  t.strictSame(await statusesOf(gateway, ['/a', { token }], ['/a', { token }]), [200, 200]);
  await reload([two('subject'), { name: 'more', by: 'client', rate: '100/1h' }]);
  t.strictSame(await statusesOf(gateway, ['/a', { token }]), [429], 'the same');
  await reload([two('subject', { burst: 3 })]);
  const four = Array.from({ length: 4 }, () => ['/a', { token }] as const);
  t.strictSame(await statusesOf(gateway, ...four), [200, 200, 200, 429], 'another definition');
  await reload([]);
  t.strictSame(await statusesOf(gateway, ['/a', { token }]), [200], 'none');
  await reload([two('subject', { burst: 3 })]);
  t.strictSame(await statusesOf(gateway, ['/a', { token }]), [200], 'what was gone begins from none');
});

t.test('L1 where there is no room for more callers, new ones share a bucket, and metrics tell', async (t) => {
  const gateway = await startLimited(t, [two('subject')], { limits: { rate_limit_keys: 1 } });
  const of = (sub: string) => ['/a', { token: tokenOf({ sub }) }] as const;
  t.strictSame(
    await statusesOf(gateway, of('first'), of('x'), of('y'), of('z'), of('first')),
    [200, 200, 200, 429, 200],
  );
  t.equal(await gateway.metric('sallyport_rate_limit_overflow_requests_total{limit="two"}'), 3);
  t.equal(await gateway.metric('sallyport_rate_limit_keys{of="callers"}'), 1);
  t.equal(await gateway.metric('sallyport_rate_limit_keys_limit{of="callers"}'), 1);
});

t.test('scripts of other origins may read how long to wait', async (t) => {
  const origin = 'https://app.example.com';
  const gateway = await startLimited(t, [two('ip')], {}, { cors: { origins: [origin] } });
  const headers = ['origin', origin];
  const refused = [];
  for (let count = 0; count < 3; count++) refused.push(await send(gateway.url, '/a', { headers }));
  const [, , last] = refused;
  t.equal(last?.status, 429);
  t.equal(last?.headers['access-control-allow-origin'], origin);
  for (const name of ['Retry-After', 'RateLimit', 'RateLimit-Policy'])
    t.ok(last?.headers['access-control-expose-headers']?.split(', ').includes(name), name);
});

t.test('fields of an upstream that limits by itself pass unchanged', async (t) => {
  const own = ['RateLimit-Policy', '"theirs";q=5;w=1', 'RateLimit', '"theirs";r=4;t=1'];
  const limited = await startUpstream(t, (_, response) => response.writeHead(200, own).end());
  const gateway = await startLimited(t, [two('subject')], { upstreams: { u: { targets: [limited.url] } } });
  const { headers } = await send(gateway.url, '/a', { token: tokenOf() });
  t.equal(headers['ratelimit-policy'], '"theirs";q=5;w=1');
  t.equal(headers['ratelimit'], '"theirs";r=4;t=1');
});

t.test('A5 the admin API tells who was limited most, as it names subjects elsewhere', async (t) => {
  const gateway = await startLimited(t, [two('subject'), { name: 'addresses', by: 'ip', rate: '7/1h' }]);
  const [alice, bob] = [tokenOf(), tokenOf({ sub: 'bob' })];
  const four = [alice, alice, alice, alice, bob, bob, bob, bob].map((token) => ['/a', { token }] as const);
  t.strictSame(await statusesOf(gateway, ...four), [200, 200, 429, 429, 200, 200, 429, 429]);
  const response = await gateway.admin('GET', '/v1/limited?limit=5');
  const { callers, silent } = (await response.json()) as { callers: object[]; silent: string[] };
  t.strictSame(silent, []);
  t.match(callers, [
    {
      limit: 'two',
      mode: 'enforced',
      route: 'a',
      issuer: 'login',
      client_id: 'web',
      sub_hash: /^[\w-]{16}$/,
      client_ip: null,
      requests: 2,
    },
    { limit: 'addresses', issuer: null, sub_hash: null, client_ip: '127.0.0.1', requests: 1 },
    { limit: 'two', requests: 1 },
  ]);
  t.notMatch(JSON.stringify(callers), 'alice');
  t.equal((await gateway.admin('GET', '/v1/limited?limit=0')).status, 400);
});
