/**
 * The lost phone does not come back by refreshing: a session ends for good, a subject's cutoff looks at the login, and
 * what still refuses tokens lives on. Rules V11, V14.
 */
import t from 'tap';
import { send } from '../support/client.ts';
import { advance, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const upstream = await startUpstream(t);
const DAY_MS = 86_400_000;

const configuration = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  issuers: { login: { ...loginIssuer(key), token_type: 'any' } },
  routes: [{ name: 'r', match: {}, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
  revocation: { claims: ['device'] },
  ...more,
});

interface Reply {
  readonly id: string;
  readonly issued_before: number | null;
  readonly expires_at: number;
  readonly ends: string;
  readonly also_end: string;
}

async function revoke(gateway: TestGateway, body: object): Promise<{ status: number; reply: Reply }> {
  const response = await gateway.admin('POST', '/v1/revocations', body);
  return { status: response.status, reply: (await response.json()) as Reply };
}

/** @returns its status; a refusal must not reach the upstream */
async function statusOf(gateway: TestGateway, token: string, path = '/'): Promise<number> {
  const before = upstream.seen.length;
  const { status } = await send(gateway.url, path, { token });
  if (status !== 200 && upstream.seen.length !== before)
    throw new Error('the upstream saw a refused request');
  return status;
}

t.test('V14 a revoked session stays revoked, whatever a refresh brings; a new login works', async (t) => {
  const clock = new ManualClock();
  const gateway = await startGateway(t, configuration(), { clock });
  const now = (): number => Math.floor(clock.nowMs() / 1000);
  const loggedInAt = now() - 60;
  const refreshed = (sid: string, changes: object = {}): string =>
    mint(key, claimsOf({ sid, iat: now(), exp: now() + 600, auth_time: loggedInAt, ...changes }));
  t.equal(await statusOf(gateway, refreshed('phone')), 200);
  const { status, reply } = await revoke(gateway, { issuer: 'login', session: 'phone' });
  t.strictSame([status, reply.issued_before], [201, null]);
  t.ok(reply.expires_at >= now() + 30 * 86_400 - 5, 'it lives for revocation.keep');
  t.equal(await statusOf(gateway, refreshed('phone')), 401);
  await advance(gateway, clock, 3_600_000);
  t.equal(await statusOf(gateway, refreshed('phone')), 401, 'refreshed an hour later');
  t.equal(await statusOf(gateway, refreshed('phone', { iat: undefined })), 401);
  t.equal(await statusOf(gateway, refreshed('phone-2', { auth_time: now() })), 200, 'the new login');
  t.equal((await gateway.admin('DELETE', `/v1/revocations/${reply.id}`)).status, 204);
  t.equal(await statusOf(gateway, refreshed('phone')), 200);
});

t.test('V14 a cutoff has no meaning for a session: 400, and nothing is revoked', async (t) => {
  const gateway = await startGateway(t, configuration());
  const body = { issuer: ISSUER, session: 's', issued_before: 1_000 };
  t.equal((await revoke(gateway, body)).status, 400);
  t.equal((await revoke(gateway, { ...body, dry_run: true })).status, 400);
  t.equal(await statusOf(gateway, mint(key, claimsOf({ sid: 's' }))), 200);
});

t.test('V14 a subject’s cutoff is compared with the earlier of iat and auth_time', async (t) => {
  const gateway = await startGateway(t, configuration());
  const now = Math.floor(Date.now() / 1000);
  const cutoff = now - 100;
  t.equal(
    (await revoke(gateway, { issuer: ISSUER, subject: 'bob', issued_before: cutoff })).reply.issued_before,
    cutoff,
  );
  const cases: [name: string, claims: Record<string, unknown>, status: number][] = [
    ['refreshed: the login is old', { iat: now, auth_time: cutoff - 1_000 }, 401],
    ['a login in the second of the cutoff', { iat: now, auth_time: cutoff + 0.5 }, 401],
    ['a login in the next second', { iat: now, auth_time: cutoff + 1 }, 200],
    ['a new login', { iat: now, auth_time: now }, 200],
    ['no auth_time, issued later', { iat: now }, 200],
    ['no auth_time, issued before', { iat: cutoff }, 401],
    ['auth_time that is no number', { iat: now, auth_time: String(cutoff - 1_000) }, 200],
    ['auth_time null', { iat: now, auth_time: null }, 200],
    ['auth_time 0', { iat: now, auth_time: 0 }, 200],
    ['auth_time below 0', { iat: now, auth_time: -5 }, 200],
    ['auth_time in the future, issued later', { iat: now, auth_time: now + 5_000 }, 200],
    ['auth_time in the future, issued before', { iat: cutoff, auth_time: now + 5_000 }, 401],
    ['auth_time in milliseconds', { iat: cutoff, auth_time: now * 1_000 }, 401],
    ['no iat', { iat: undefined, auth_time: now }, 401],
  ];
  for (const [name, claims, status] of cases)
    t.equal(await statusOf(gateway, mint(key, claimsOf({ sub: 'bob', ...claims }))), status, name);
});

t.test('V14 a client’s cutoff and a claim’s are compared with iat alone', async (t) => {
  const gateway = await startGateway(t, configuration());
  const now = Math.floor(Date.now() / 1000);
  const cutoff = now - 100;
  await revoke(gateway, { issuer: ISSUER, client: 'app', issued_before: cutoff });
  await revoke(gateway, { issuer: ISSUER, claim: { device: 'd' }, issued_before: cutoff });
  for (const claims of [{ client_id: 'app' }, { device: 'd' }]) {
    const at = (iat: number): string => mint(key, claimsOf({ ...claims, iat, auth_time: cutoff - 1_000 }));
    t.equal(await statusOf(gateway, at(now)), 200);
    t.equal(await statusOf(gateway, at(cutoff)), 401);
  }
});

t.test('V14 the response and the preview say what ends, and what must be ended elsewhere', async (t) => {
  const gateway = await startGateway(t, configuration());
  const targets = [
    { session: 's' },
    { subject: 's' },
    { client: 'c' },
    { claim: { device: 'd' } },
    { token_id: 'j' },
  ];
  for (const target of targets) {
    const body = { issuer: ISSUER, ...target };
    const preview = (await revoke(gateway, { ...body, dry_run: true })).reply;
    const { reply } = await revoke(gateway, body);
    t.ok(reply.ends.length > 0 && reply.also_end.length > 0, JSON.stringify(target));
    t.strictSame([preview.ends, preview.also_end], [reply.ends, reply.also_end]);
  }
});

t.test('V11 while a session still tries, its entry lives on: renewed once a day at most', async (t) => {
  const clock = new ManualClock();
  const gateway = await startGateway(t, configuration({ revocation: { keep: '10d' } }), { clock });
  const now = (): number => Math.floor(clock.nowMs() / 1000);
  const refreshed = (): string =>
    mint(key, claimsOf({ sid: 'phone', iat: now(), exp: now() + 600, auth_time: now() - 9_000_000 }));
  const { reply } = await revoke(gateway, { issuer: ISSUER, session: 'phone' });
  const expiry = async (): Promise<number> => {
    const response = await gateway.admin('GET', `/v1/revocations/${reply.id}`);
    return ((await response.json()) as Reply).expires_at;
  };
  t.equal(await statusOf(gateway, refreshed()), 401);
  t.equal(await expiry(), reply.expires_at, 'on the first day there is nothing to renew');
  let renewals = 0;
  for (let last = reply.expires_at, day = 0; day < 15; day++) {
    await advance(gateway, clock, DAY_MS / 2);
    t.equal(await statusOf(gateway, refreshed()), 401, `after ${day / 2 + 0.5} days`);
    t.equal(await statusOf(gateway, refreshed()), 401);
    const next = await expiry();
    if (next === last) continue;
    renewals++;
    t.ok(next - last >= 86_400, 'by a day or more');
    last = next;
  }
  t.ok(renewals >= 6 && renewals <= 7, `${renewals} renewals in 7.5 days`);
  await advance(gateway, clock, 11 * DAY_MS);
  t.equal(
    (await gateway.admin('GET', `/v1/revocations/${reply.id}`)).status,
    404,
    'then none tried any more',
  );
});

t.test('V11 with a keep of an hour an entry that still refuses lives on, too', async (t) => {
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    configuration({
      issuers: { login: { ...loginIssuer(key), token_type: 'any', max_lifetime: '20m' } },
      revocation: { keep: '1h' },
    }),
    { clock },
  );
  const now = (): number => Math.floor(clock.nowMs() / 1000);
  const token = (): string => mint(key, claimsOf({ sid: 's', iat: now(), exp: now() + 600 }));
  const { reply } = await revoke(gateway, { issuer: ISSUER, session: 's' });
  t.ok(Math.abs(reply.expires_at - now() - 3_600) <= 2);
  for (let half = 0; half < 6; half++) {
    t.equal(await statusOf(gateway, token()), 401);
    await until(async () => {
      const response = await gateway.admin('GET', `/v1/revocations/${reply.id}`);
      return ((await response.json()) as Reply).expires_at > now() + 40_000;
    });
    await advance(gateway, clock, DAY_MS / 2);
  }
});

t.test('V11 an entry lives as long as any token that it can match, whichever issuer’s', async (t) => {
  const clock = new ManualClock();
  const now = (): number => Math.floor(clock.nowMs() / 1000);
  // One server issues both, under one iss.
  const asked: string = await startServer(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ active: true, iss: asked, sub: 'alice', jti: 'opaque-1', iat: issuedAt }));
  });
  const issuedAt = now() - 10;
  const routes = ['jwt', 'opaque'].map((name) => ({
    name,
    match: { path_prefix: `/${name}` },
    upstream: 'u',
    auth: { issuers: [name] },
  }));
  for (const [name, issuer] of Object.entries({ 'of the same iss': asked, 'of any iss': undefined })) {
    const gateway = await startGateway(
      t,
      configuration({
        issuers: {
          jwt: { ...loginIssuer(key), issuer: asked, max_lifetime: '10m', clock_skew: '10s' },
          opaque: {
            ...(issuer === undefined ? {} : { issuer }),
            introspection: { url: asked, client_id: 'gateway', client_secret: 'secret', cache: '0s' },
          },
        },
        routes,
      }),
      { clock },
    );
    t.equal(await statusOf(gateway, 'opaque-token', '/opaque'), 200);
    for (const target of [{ subject: 'alice' }, { token_id: 'opaque-1' }]) {
      const { reply } = await revoke(gateway, { issuer: asked, ...target });
      t.ok(reply.expires_at > now() + 29 * 86_400, `${name}: ${JSON.stringify(target)} lives for keep`);
      t.equal(await statusOf(gateway, 'opaque-token', '/opaque'), 401);
      // The JWTs of that iss are long gone; the view drops what has expired within a minute.
      await advance(gateway, clock, 1_800_000);
      await advance(gateway, clock, 61_000);
      t.equal(await statusOf(gateway, 'opaque-token', '/opaque'), 401, name);
      await gateway.admin('DELETE', `/v1/revocations/${reply.id}`);
    }
    await gateway.stop();
  }
});
