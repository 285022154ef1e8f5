/** OpenID Connect Back-Channel Logout 1.0: logouts become revocations. Rules V14, V16. */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Provider } from 'oidc-provider';
import t from 'tap';
import type { LogoutRefusalReason } from '../../src/token/logout-refusal.ts';
import { send, sendRaw } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { advance, loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import {
  AUDIENCE,
  claimsOf,
  createKey,
  ISSUER,
  mint,
  nowSeconds,
  type SigningKey,
} from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

declare module 'oidc-provider' {
  // Its types lack the method by which it sends a logout token.
  interface Client {
    backchannelLogout(subject: string, session: string): Promise<void>;
  }
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const PATH = '/logout/backchannel';
const upstream = await startUpstream(t);
const key = createKey('ES256');

function configuration(
  issuer: Record<string, unknown>,
  logout: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    issuers: {
      login: {
        ...issuer,
        backchannel_logout: { host: '127.0.0.1', path: PATH, client_ids: ['app', 'shop'], ...logout },
      },
    },
    routes: [{ name: 'all', match: { path_prefix: '/' }, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  };
}

function logoutToken(
  changes: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  by: SigningKey = key,
): string {
  const iat = nowSeconds();
  const claims = {
    iss: ISSUER,
    aud: 'app',
    iat,
    exp: iat + 120,
    jti: randomUUID(),
    events: { [EVENT]: {} },
    sid: 'session-1',
    ...changes,
  };
  const present = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
  return mint(by, present, { typ: 'logout+jwt', ...header });
}

const post = (
  gateway: TestGateway,
  body: string,
  type = 'application/x-www-form-urlencoded',
): Promise<Response> =>
  fetch(`${gateway.url}${PATH}`, { method: 'POST', headers: { 'content-type': type }, body });
const logout = (gateway: TestGateway, token: string): Promise<Response> =>
  post(gateway, new URLSearchParams({ logout_token: token }).toString());
const entries = async (gateway: TestGateway): Promise<unknown[]> =>
  ((await (await gateway.admin('GET', '/v1/revocations')).json()) as { revocations: unknown[] }).revocations;

t.test('a logout ends its session, or all of its subject', async (t) => {
  const clock = new ManualClock();
  const gateway = await startGateway(t, configuration(loginIssuer(key)), { clock });
  const status = async (token: string): Promise<number> => (await send(gateway.url, '/', { token })).status;
  const [first, other] = ['session-1', 'session-2'].map((sid) => mint(key, claimsOf({ sid, sub: 'alice' })));
  t.strictSame([await status(first ?? ''), await status(other ?? '')], [200, 200]);

  const seen = upstream.seen.length;
  const response = await logout(gateway, logoutToken({ sub: 'alice' }));
  t.equal(response.status, 200);
  t.equal(response.headers.get('cache-control'), 'no-store');
  t.equal(await response.text(), '');
  t.strictSame([await status(first ?? ''), await status(other ?? '')], [401, 200], 'sid goes before sub');

  t.equal(
    (await logout(gateway, logoutToken({ sid: undefined, sub: 'alice', aud: ['x', 'shop'] }))).status,
    200,
  );
  t.equal(await status(other ?? ''), 401);
  const later = mint(key, claimsOf({ sub: 'alice', iat: nowSeconds() + 1 }));
  t.equal(await status(later), 200, 'V4 the next login works');
  t.equal(upstream.seen.length, seen + 2, 'logouts go to no upstream');
  const audit = gateway.log.filter((line) => line['msg'] === 'audit');
  t.match(audit[0], { audit: { action: 'revoke', by: 'backchannel-logout:login', kind: 'session' } });
  t.equal((await send(gateway.url, `${PATH}/more`, { token: later })).status, 200, 'only that path');
  t.equal(
    (await fetch(`${gateway.adminUrl}${PATH}`, { method: 'POST' })).status,
    404,
    'and only on public listeners',
  );
});

t.test('H11 a logout in HTTP/1.0 gets no 100', async (t) => {
  const gateway = await startGateway(t, configuration(loginIssuer(key)));
  const body = new URLSearchParams({ logout_token: logoutToken() }).toString();
  const received = await sendRaw(
    gateway.port,
    `POST ${PATH} HTTP/1.0\r\nHost: ${new URL(gateway.url).hostname}\r\nExpect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  t.match(received, /^HTTP\/1\.1 200 /);
  t.notMatch(received, / 100 /);
});

t.test('what is no valid logout token is 400, and revokes nothing', async (t) => {
  const gateway = await startGateway(t, configuration(loginIssuer(key)));
  const now = nowSeconds();
  const used = logoutToken({ sid: 'used' });
  t.equal((await logout(gateway, used)).status, 200);
  const before = (await entries(gateway)).length;
  const bad: Record<string, [token: string, reason: LogoutRefusalReason]> = {
    'spent already': [used, 'used_before'],
    'an access token': [mint(key), 'wrong_type'],
    'another typ': [logoutToken({}, { typ: 'at+jwt' }), 'wrong_type'],
    'typ null': [logoutToken({}, { typ: null }), 'wrong_type'],
    'a stranger’s signature': [logoutToken({}, {}, { ...createKey('ES256'), kid: key.kid }), 'bad_signature'],
    'a stranger’s key': [logoutToken({}, {}, createKey('ES256')), 'unknown_key'],
    'alg none': [`${logoutToken({}, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`, 'malformed'],
    'another issuer': [logoutToken({ iss: 'https://evil.example' }), 'wrong_issuer'],
    'no aud': [logoutToken({ aud: undefined }), 'wrong_audience'],
    'aud of another client': [logoutToken({ aud: AUDIENCE }), 'wrong_audience'],
    'a nonce': [logoutToken({ nonce: 'n' }), 'nonce'],
    'a nonce that is null': [logoutToken({ nonce: null }), 'nonce'],
    'no events': [logoutToken({ events: undefined }), 'no_logout_event'],
    'an ID token, typ JWT': [logoutToken({ events: undefined }, { typ: 'JWT' }), 'no_logout_event'],
    'another event': [logoutToken({ events: { 'http://example.com/event': {} } }), 'no_logout_event'],
    'an event that is no object': [logoutToken({ events: { [EVENT]: true } }), 'no_logout_event'],
    'neither sid nor sub': [logoutToken({ sid: undefined }), 'no_session_or_subject'],
    'sid that is no text': [logoutToken({ sid: 1 }), 'bad_session'],
    'sid that is empty': [logoutToken({ sid: '', sub: 'alice' }), 'bad_session'],
    'sub that is empty': [logoutToken({ sub: '' }), 'bad_subject'],
    'no jti': [logoutToken({ jti: undefined }), 'no_token_id'],
    'jti that is empty': [logoutToken({ jti: '' }), 'no_token_id'],
    'no iat': [logoutToken({ iat: undefined }), 'bad_date'],
    'exp that is no number': [logoutToken({ exp: 'soon' }), 'bad_date'],
    'exp null': [logoutToken({ exp: null }), 'bad_date'],
    'no exp, and old': [logoutToken({ iat: now - 125, exp: undefined }), 'too_old'],
    'no exp, from the future': [logoutToken({ iat: now + 100, exp: undefined }), 'from_the_future'],
    expired: [logoutToken({ iat: now - 300, exp: now - 100 }), 'expired'],
    'fresh, but expired': [logoutToken({ iat: now, exp: now - 100 }), 'expired'],
    'from the future': [logoutToken({ iat: now + 100, exp: now + 200 }), 'from_the_future'],
    'another spelling': [`${logoutToken()}=`, 'malformed'],
    nothing: ['', 'malformed'],
  };
  const counted = (result: string): Promise<number> =>
    gateway.metric(`sallyport_backchannel_logouts_total{issuer="login",result="${result}"}`);
  for (const [name, [token, reason]] of Object.entries(bad)) {
    const count = await counted(reason);
    const response = await logout(gateway, token);
    t.equal(response.status, 400, name);
    t.match(await response.json(), { code: 'invalid_logout_token' });
    t.equal(await counted(reason), count + 1, `${name}: ${reason} is counted`);
    const line = gateway.log.findLast(({ msg }) => msg === 'a back-channel logout was refused');
    t.match(line, { level: 'warn', issuer: 'login', reason, client_ip: '127.0.0.1' }, name);
  }
  const good = logoutToken();
  t.equal((await post(gateway, `logout_token=${good}&logout_token=${good}`)).status, 400, 'two tokens');
  t.equal((await post(gateway, JSON.stringify({ logout_token: good }), 'application/json')).status, 400);
  t.equal((await post(gateway, `logout_token=${'x'.repeat(17_000)}`)).status, 413);
  const got = await fetch(`${gateway.url}${PATH}?logout_token=${good}`);
  t.strictSame([got.status, got.headers.get('allow')], [405, 'POST']);
  t.equal((await entries(gateway)).length, before);
  for (const reason of ['no_single_token', 'not_a_form', 'body_too_large', 'not_posted'])
    t.equal(await counted(reason), 1, reason);
  t.equal(await counted('accepted'), 1);
});

t.test('a logout token may have typ JWT or none, and no exp while it is fresh', async (t) => {
  const clock = new ManualClock();
  const gateway = await startGateway(t, configuration(loginIssuer(key)), { clock });
  const status = async (sid: string): Promise<number> =>
    (await send(gateway.url, '/', { token: mint(key, claimsOf({ sid })) })).status;
  const now = nowSeconds();
  const good: [name: string, token: string, sid: string][] = [
    ['typ JWT', logoutToken({ sid: 'a' }, { typ: 'JWT' }), 'a'],
    ['typ jwt', logoutToken({ sid: 'b' }, { typ: 'jwt' }), 'b'],
    ['no typ', logoutToken({ sid: 'c' }, { typ: undefined }), 'c'],
    ['no exp', logoutToken({ sid: 'd', exp: undefined, iat: now - 115 }, { typ: 'JWT' }), 'd'],
    ['an old iat, with exp', logoutToken({ sid: 'e', iat: now - 1_000, exp: now + 60 }), 'e'],
  ];
  for (const [name, token, sid] of good) {
    t.equal(await status(sid), 200);
    t.equal((await logout(gateway, token)).status, 200, name);
    t.equal(await status(sid), 401, name);
    t.equal((await logout(gateway, token)).status, 400, `${name}: once`);
  }
});

t.test('a logout token authenticates nothing, whatever its typ', async (t) => {
  const issuer = { issuer: ISSUER, jwks: { keys: [key.jwk] }, token_type: 'any' };
  const gateway = await startGateway(t, configuration(issuer));
  const before = upstream.seen.length;
  for (const typ of ['JWT', undefined, 'logout+jwt']) {
    const { status, problem } = await send(gateway.url, '/', { token: logoutToken({}, { typ }) });
    t.match({ status, problem }, { status: 401, problem: { code: 'invalid_token' } }, String(typ));
  }
  t.equal(upstream.seen.length, before);
});

t.test('without exp a jti is spent for as long as its token could count', async (t) => {
  const clock = new ManualClock();
  const gateway = await startGateway(t, configuration({ ...loginIssuer(key), clock_skew: '60s' }), { clock });
  const now = Math.floor(clock.nowMs() / 1000);
  const undated = logoutToken({ jti: 'undated', iat: now, exp: undefined });
  t.equal((await logout(gateway, undated)).status, 200);
  const reusing = (): string => {
    const iat = Math.floor(clock.nowMs() / 1000);
    return logoutToken({ jti: 'undated', iat, exp: iat + 60 });
  };
  await advance(gateway, clock, 175_000);
  t.equal((await logout(gateway, reusing())).status, 400, 'within two minutes and the clock skew');
  await advance(gateway, clock, 10_000);
  t.equal((await logout(gateway, reusing())).status, 200);
});

t.test('what a logout ends is configured: the session, the subject, or both', async (t) => {
  const both = { sid: 'phone', sub: 'alice' };
  const cases: [ends: string | undefined, claims: Record<string, unknown>, kinds: string[]][] = [
    [undefined, both, ['session']],
    ['session', both, ['session']],
    ['subject', both, ['subject']],
    ['both', both, ['session', 'subject']],
    ['session', { sid: undefined, sub: 'alice' }, ['subject']],
    ['subject', { sid: 'phone' }, ['session']],
    ['both', { sid: 'phone' }, ['session']],
    ['both', { sid: undefined, sub: 'alice' }, ['subject']],
  ];
  for (const [ends, claims, kinds] of cases) {
    const name = `${ends}: ${JSON.stringify(claims)}`;
    const gateway = await startGateway(
      t,
      configuration(loginIssuer(key), ends === undefined ? {} : { ends }),
    );
    // Issued before the logout, also where a second ends between the two.
    const withoutSession = mint(key, claimsOf({ sub: 'alice' }));
    t.equal((await logout(gateway, logoutToken(claims))).status, 200, name);
    const revoked = (await entries(gateway)) as { target: object; issued_before: number | null }[];
    t.strictSame(revoked.flatMap(({ target }) => Object.keys(target)).sort(), kinds, name);
    for (const { target, issued_before } of revoked)
      t.equal(issued_before === null, 'session' in target, 'V14 a session ends for good');
    const { status } = await send(gateway.url, '/', { token: withoutSession });
    t.equal(status, kinds.includes('subject') ? 401 : 200, name);
    await gateway.stop();
  }
});

t.test('check warns where a logout of a session may end no access token', async (t) => {
  const file = `${temporaryFolder(t)}/c.json`;
  const warned = async (issuer: object, logoutKeys: object): Promise<boolean> => {
    writeFileSync(file, JSON.stringify(configuration({ ...loginIssuer(key), ...issuer }, { ...logoutKeys })));
    const { out } = await sallyport(['check', '-c', file, '--json']);
    const { ok, warnings } = JSON.parse(out) as { ok: boolean; warnings: string[] };
    t.ok(ok);
    return warnings.some((line) => line.includes('issuers.login.backchannel_logout'));
  };
  t.equal(await warned({}, {}), true);
  t.equal(await warned({}, { ends: 'session' }), true);
  t.equal(await warned({}, { ends: 'both' }), false);
  t.equal(await warned({}, { ends: 'subject' }), false);
  t.equal(await warned({ required_claims: ['sid'] }, {}), false);
});

t.test('oidc-provider sends a logout', async (t) => {
  let serve: (request: IncomingMessage, response: ServerResponse) => unknown = () => undefined;
  const url = await startServer(t, (request, response) => void serve(request, response));
  const gateway = await startGateway(
    t,
    configuration({ issuer: url, jwks: { keys: [key.jwk] }, audiences: [AUDIENCE] }),
  );
  const provider = new Provider(url, {
    jwks: { keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: key.kid, alg: 'ES256', use: 'sig' }] },
    cookies: { keys: ['of the tests'] },
    // By itself it sends nothing to loopback.
    fetch: (target, options) =>
      fetch(target, {
        method: 'POST',
        headers: options?.headers ?? {},
        body: options?.body ?? null,
      }),
    features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
    clients: [
      {
        client_id: 'app',
        client_secret: 'a secret that is long enough for any server',
        redirect_uris: ['https://app.example/cb'],
        id_token_signed_response_alg: 'ES256',
        backchannel_logout_uri: `${gateway.url}${PATH}`,
        backchannel_logout_session_required: true,
      },
    ],
  });
  serve = provider.callback();
  const token = mint(key, claimsOf({ iss: url, sub: 'alice', sid: 'sid-of-alice' }));
  const status = async (): Promise<number> => (await send(gateway.url, '/', { token })).status;
  t.equal(await status(), 200);
  const client = await provider.Client.find('app');
  await client?.backchannelLogout('alice', 'sid-of-alice');
  t.equal(await status(), 401);
  t.match(await entries(gateway), [{ target: { session: 'sid-of-alice' }, reason: 'logged out' }]);
});

t.test(
  'a flood of bad logout tokens has log.refusals warnings a second, and one line with the rest',
  async (t) => {
    const clock = new ManualClock();
    const gateway = await startGateway(
      t,
      { ...configuration(loginIssuer(key)), log: { refusals: 2 } },
      { clock },
    );
    for (let sent = 0; sent < 5; sent++) t.equal((await post(gateway, 'logout_token=bad')).status, 400);
    t.equal(gateway.log.filter(({ msg }) => msg === 'a back-channel logout was refused').length, 2);
    clock.advance(1_000);
    t.ok(gateway.log.some(({ left_out, reason }) => left_out === 3 && reason === 'malformed'));
    t.equal(
      await gateway.metric('sallyport_backchannel_logouts_total{issuer="login",result="malformed"}'),
      5,
    );
  },
);
