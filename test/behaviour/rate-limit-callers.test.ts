/** Whose requests a limit counts together, and how several limits count one request. */
import t from 'tap';
import type { SendOptions } from '../support/client.ts';
import { partnerToken, startLimited, statusesOf, tokenOf, two } from '../support/limited.ts';

t.test('callers are told apart by what the limit says', async (t) => {
  const apart: Record<string, [by: unknown, one: Record<string, unknown>, other: Record<string, unknown>]> = {
    subject: ['subject', { client_id: 'x' }, { sub: 'bob' }],
    client: ['client', { sub: 'bob' }, { client_id: 'other' }],
    tenant: ['tenant', { tenant: 't', sub: 'bob' }, { tenant: 'other' }],
    'a claim': [{ claim: 'plan.id' }, { plan: { id: 'p' }, sub: 'bob' }, { plan: { id: 'other' } }],
    'a claim that is a number': [{ claim: 'level' }, { level: 1, sub: 'bob' }, { level: 2 }],
  };
  for (const [name, [by, same, different]] of Object.entries(apart)) {
    const gateway = await startLimited(t, [two(by)]);
    const claims = { tenant: 't', plan: { id: 'p' }, level: 1 };
    const [one, like, unlike] = [claims, { ...claims, ...same }, { ...claims, ...different }].map((each) =>
      tokenOf(each),
    ) as [string, string, string];
    t.strictSame(
      await statusesOf(gateway, ['/a', { token: one }], ['/a', { token: like }], ['/a', { token: like }]),
      [200, 200, 429],
      `${name}: two tokens of one caller`,
    );
    t.strictSame(await statusesOf(gateway, ['/a', { token: unlike }]), [200], `${name}: another caller`);
  }
});

t.test('by issuer: all its tokens count together, and not with those of another', async (t) => {
  const gateway = await startLimited(t, [two('issuer')]);
  const partner = partnerToken();
  const [alice, bob] = [tokenOf(), tokenOf({ sub: 'bob' })];
  t.strictSame(
    await statusesOf(gateway, ['/a', { token: alice }], ['/a', { token: bob }], ['/a', { token: bob }]),
    [200, 200, 429],
  );
  t.strictSame(await statusesOf(gateway, ['/a', { token: partner }]), [200]);
});

t.test('one name of two issuers is two callers', async (t) => {
  const gateway = await startLimited(t, [two('subject')]);
  const partner = partnerToken();
  const token = tokenOf();
  await statusesOf(gateway, ['/a', { token }], ['/a', { token }]);
  t.strictSame(await statusesOf(gateway, ['/a', { token }], ['/a', { token: partner }]), [429, 200]);
});

t.test('tokens that do not say share one bucket of their issuer', async (t) => {
  const gateway = await startLimited(t, [two({ claim: 'plan' })]);
  const partner = partnerToken();
  // A list has no text of its own; what is empty or null names nothing.
  const silent = [{}, { plan: null, sub: 'bob' }, { plan: '', sub: 'carol' }, { plan: ['p', 'q'] }].map(
    tokenOf,
  );
  t.strictSame(
    await statusesOf(gateway, ...silent.map((token) => ['/a', { token }] as const)),
    [200, 200, 429, 429],
  );
  t.strictSame(
    await statusesOf(gateway, ['/a', { token: tokenOf({ plan: 'p' }) }], ['/a', { token: partner }]),
    [200, 200],
  );
});

t.test('a caller without a token counts by its address', async (t) => {
  const auth = { mode: 'optional' };
  const gateway = await startLimited(t, [two('subject')], { trusted_proxies: ['127.0.0.1'] }, { auth });
  const from = (address: string): SendOptions => ({ headers: ['x-forwarded-for', address] });
  const one = ['/a', from('192.0.2.1')] as const;
  t.strictSame(await statusesOf(gateway, one, one, one, ['/a', from('192.0.2.2')]), [200, 200, 429, 200]);
  t.strictSame(
    await statusesOf(gateway, ['/a', { ...from('192.0.2.1'), token: tokenOf() }]),
    [200],
    'with a token',
  );
});

t.test('by ip: an IPv4 address, however it is written, and the /64 of an IPv6 one', async (t) => {
  const gateway = await startLimited(
    t,
    [two('ip')],
    { trusted_proxies: ['127.0.0.1'] },
    { auth: { mode: 'none' } },
  );
  const from = (address: string) => ['/a', { headers: ['x-forwarded-for', address] }] as const;
  const mapped = from('::ffff:192.0.2.1');
  t.strictSame(await statusesOf(gateway, from('192.0.2.1'), mapped, mapped), [200, 200, 429]);
  const network = ['2001:db8::1', '2001:db8::ffff:1', '2001:db8:0:0:1::'].map(from);
  t.strictSame(await statusesOf(gateway, ...network), [200, 200, 429]);
  t.strictSame(await statusesOf(gateway, from('2001:db8:0:1::1'), from('192.0.2.2')), [200, 200], 'others');
});

t.test('the same name on two routes is one limit; another route is free', async (t) => {
  const gateway = await startLimited(t, [two('subject')]);
  const token = tokenOf();
  t.strictSame(
    await statusesOf(gateway, ['/a', { token }], ['/b', { token }], ['/b', { token }], ['/free', { token }]),
    [200, 200, 429, 200],
  );
});

t.test('a limit of all routes counts in one bucket, besides those of the routes', async (t) => {
  const gateway = await startLimited(t, [], {
    rate_limits: [{ name: 'all', by: 'subject', rate: '3/1h' }],
    routes: [
      {
        name: 'a',
        match: { path_prefix: '/a' },
        upstream: 'u',
        rate_limits: [{ name: 'one', by: 'subject', rate: '1/1h' }],
      },
      { name: 'b', match: { path_prefix: '/b' }, upstream: 'u' },
    ],
  });
  const token = tokenOf();
  const [a, b] = [
    ['/a', { token }],
    ['/b', { token }],
  ] as const;
  t.strictSame(await statusesOf(gateway, a, a, a, b, b, b), [200, 429, 429, 200, 200, 429]);
  const limits = gateway.log.flatMap(({ limit }) => limit ?? []);
  t.strictSame(limits, ['one', 'one', 'all'], 'what one refuses, the limit in front of it does not count');
});

t.test(
  'what one of several limits refuses is not counted by the others, whichever comes first',
  async (t) => {
    const narrow = { name: 'narrow', by: 'client', rate: '1/1h' };
    const wide = { name: 'wide', by: 'subject', rate: '3/1h' };
    const reported = { name: 'reported', by: 'issuer', rate: '1/1h', report_only: true };
    for (const limits of [
      [narrow, reported, wide],
      [wide, reported, narrow],
      [reported, wide, narrow],
    ]) {
      const gateway = await startLimited(t, limits);
      const of = (client_id: string) => ['/a', { token: tokenOf({ client_id }) }] as const;
      t.strictSame(
        await statusesOf(gateway, of('x'), of('x'), of('x'), of('y'), of('z'), of('w')),
        [200, 429, 429, 200, 200, 429],
        JSON.stringify(limits.map(({ name }) => name)),
      );
    }
  },
);
