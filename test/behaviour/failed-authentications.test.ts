/** How many refused credentials an address may send. Rule L3. */
import t from 'tap';
import { keyFile, keyIssuer, newKey } from '../support/api-keys.ts';
import type { SendOptions } from '../support/client.ts';
import { send } from '../support/client.ts';
import { advance, loginIssuer } from '../support/gateway.ts';
import { key, startLimited, statusesOf, tokenOf, two } from '../support/limited.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, mint, nowSeconds } from '../support/tokens.ts';
import { startServer } from '../support/upstream.ts';

const stranger = createKey('ES256', key.kid);
const forged = (): string => mint(stranger, claimsOf());
const MORE = {
  trusted_proxies: ['127.0.0.1'],
  limits: { failed_authentications: { rate: '2/1h' } },
};
const from = (address: string, token?: string): readonly [string, SendOptions] => [
  '/a',
  { headers: ['x-forwarded-for', address], ...(token === undefined ? {} : { token }) },
];
const deny =
  'sallyport_auth_decisions_total{route="a",issuer="login",decision="deny",reason="bad_signature"}';

t.test('L3 an address with too many refused credentials gets 429, and nothing is verified', async (t) => {
  const gateway = await startLimited(t, [], MORE);
  const bad = (): readonly [string, SendOptions] => from('192.0.2.1', forged());
  t.strictSame(await statusesOf(gateway, bad(), bad(), bad(), bad()), [401, 401, 429, 429]);
  t.equal(await gateway.metric(deny), 2);
  t.equal(await gateway.metric('sallyport_cache_lookups_total{cache="tokens",result="miss"}'), 2);
  const refused = await send(gateway.url, ...from('192.0.2.1', tokenOf()));
  t.equal(refused.status, 429, 'a good token that is not known yet');
  t.equal(refused.problem.code, 'rate_limited');
  t.match(refused.headers['ratelimit'], /^"failed_authentications";r=0;t=\d+$/);
  t.equal(refused.headers['www-authenticate'], undefined);
  t.match(gateway.log.at(-1), { error: 'rate_limited', limit: 'failed_authentications' });
  t.equal(
    await gateway.metric(
      'sallyport_rate_limited_requests_total{route="a",limit="failed_authentications",mode="enforced"}',
    ),
    3,
  );
  t.strictSame(await statusesOf(gateway, from('192.0.2.2', tokenOf())), [200], 'another address');
});

t.test('a token that a cache knows as good is spared, and so is a request without one', async (t) => {
  const gateway = await startLimited(t, [], MORE, { auth: { mode: 'optional' } });
  const known = tokenOf();
  const asked = [from('192.0.2.1', known), from('192.0.2.1', forged()), from('192.0.2.1', forged())] as const;
  t.strictSame(await statusesOf(gateway, ...asked), [200, 401, 401]);
  t.strictSame(
    await statusesOf(gateway, from('192.0.2.1', known), from('192.0.2.1', tokenOf()), from('192.0.2.1')),
    [200, 429, 200],
  );
});

t.test('an API key that is stored is spared, at its first request too; a made-up one is not', async (t) => {
  const { key: stored, entry } = newKey('stored');
  const issuers = { login: loginIssuer(key), partners: keyIssuer() };
  const auth = { issuers: ['login', 'partners'] };
  const { folder } = keyFile(t, [entry]);
  const gateway = await startLimited(t, [], { ...MORE, issuers }, { auth }, { folder });
  const asked = [forged(), newKey('other').key, newKey('another').key, stored];
  t.strictSame(
    await statusesOf(gateway, ...asked.map((each) => from('192.0.2.1', each))),
    [401, 401, 429, 200],
  );
});

t.test('a token that a cache knows as bad is not spared', async (t) => {
  const gateway = await startLimited(t, [], MORE);
  const bad = from('192.0.2.1', forged());
  t.strictSame(await statusesOf(gateway, bad, bad, bad), [401, 401, 429]);
});

t.test('an IPv6 address counts by its /64, and the budget comes back as time passes', async (t) => {
  const clock = new ManualClock();
  const gateway = await startLimited(t, [], MORE, {}, { clock });
  const bad = ['2001:db8::1', '2001:db8::2', '2001:db8::3'].map((each) => from(each, forged()));
  t.strictSame(await statusesOf(gateway, ...bad), [401, 401, 429]);
  await advance(gateway, clock, 1_800_000);
  const fresh = (): string => mint(key, claimsOf({ iat: nowSeconds() + 1_800, exp: nowSeconds() + 2_400 }));
  t.strictSame(await statusesOf(gateway, from('2001:db8::4', fresh())), [200]);
});

t.test('only refused credentials count: not their lack, no missing scope, no limit, no outage', async (t) => {
  const gateway = await startLimited(
    t,
    [two('client')],
    { ...MORE, limits: { failed_authentications: { rate: '1/1h' } } },
    { auth: { scopes: ['orders:read'] } },
  );
  const harmless = [
    from('192.0.2.1'),
    from('192.0.2.1', tokenOf({ scope: 'x' })),
    from('192.0.2.1', tokenOf()),
    from('192.0.2.1', tokenOf()),
    from('192.0.2.1', tokenOf()),
    ['/a?access_token=x', { headers: ['x-forwarded-for', '192.0.2.1'] }],
  ] as const;
  t.strictSame(await statusesOf(gateway, ...harmless), [401, 403, 200, 200, 429, 400]);
  t.strictSame(await statusesOf(gateway, from('192.0.2.1', tokenOf({ client_id: 'other' }))), [200]);
});

t.test('a revoked token counts; on a route with auth.report_only, too', async (t) => {
  for (const report_only of [false, true]) {
    const gateway = await startLimited(t, [], MORE, { auth: { report_only } });
    const revoked = tokenOf();
    await gateway.admin('POST', '/v1/revocations', { token: revoked });
    const asked = from('192.0.2.1', revoked);
    const passing = report_only ? 200 : 401;
    // It is authentic, so that a cache knows it as good: it is refused for what it is.
    t.strictSame(await statusesOf(gateway, asked, asked, asked), [passing, passing, passing]);
    t.strictSame(await statusesOf(gateway, from('192.0.2.1', tokenOf())), [429]);
  }
});

t.test(
  'no server is asked about opaque tokens of such an address, but those that it has vouched for pass',
  async (t) => {
    let asked = 0;
    const server = await startServer(t, (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        asked++;
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify(body.includes('good') ? { active: true, sub: 'alice' } : { active: false }),
        );
      });
    });
    const gateway = await startLimited(
      t,
      [],
      {
        ...MORE,
        issuers: {
          login: loginIssuer(key),
          opaque: { introspection: { url: server, client_id: 'x', client_secret: 'y' } },
        },
      },
      { auth: { issuers: ['opaque'] } },
    );
    const of = (token: string) => from('192.0.2.1', token);
    t.strictSame(await statusesOf(gateway, of('good'), of('bad1'), of('bad2')), [200, 401, 401]);
    t.equal(asked, 3);
    t.strictSame(
      await statusesOf(gateway, of('good'), of('good2'), of('bad3'), of('bad1')),
      [200, 429, 429, 429],
    );
    t.equal(asked, 3);
  },
);

t.test('report_only counts and tells, and refuses nothing', async (t) => {
  const limits = { failed_authentications: { rate: '1/1h', report_only: true } };
  const gateway = await startLimited(t, [], { ...MORE, limits });
  const asked = [forged(), forged(), tokenOf()].map((token) => from('192.0.2.1', token));
  t.strictSame(await statusesOf(gateway, ...asked), [401, 401, 200]);
  t.equal(
    await gateway.metric(
      'sallyport_rate_limited_requests_total{route="a",limit="failed_authentications",mode="reported"}',
    ),
    2,
  );
  t.match(gateway.log.at(-1), { over_limits: ['failed_authentications'] });
});
