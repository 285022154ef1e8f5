/** OpenID Connect Back-Channel Logout 1.0: logouts become revocations. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Provider } from 'oidc-provider';
import t from 'tap';
import { send, sendRaw } from '../support/client.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
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

function configuration(issuer: Record<string, unknown>): Record<string, unknown> {
  return {
    issuers: {
      login: {
        ...issuer,
        backchannel_logout: { host: '127.0.0.1', path: PATH, client_ids: ['app', 'shop'] },
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
  const answer = await logout(gateway, logoutToken({ sub: 'alice' }));
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('cache-control'), 'no-store');
  t.equal(await answer.text(), '');
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
  const bad: Record<string, string> = {
    'spent already': used,
    'an access token': mint(key),
    'typ JWT': logoutToken({}, { typ: 'JWT' }),
    'no typ': logoutToken({}, { typ: undefined }),
    'a stranger’s signature': logoutToken({}, {}, { ...createKey('ES256'), kid: key.kid }),
    'alg none': `${logoutToken({}, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
    'another issuer': logoutToken({ iss: 'https://evil.example' }),
    'no aud': logoutToken({ aud: undefined }),
    'aud of another client': logoutToken({ aud: AUDIENCE }),
    'a nonce': logoutToken({ nonce: 'n' }),
    'no events': logoutToken({ events: undefined }),
    'another event': logoutToken({ events: { 'http://example.com/event': {} } }),
    'an event that is no object': logoutToken({ events: { [EVENT]: true } }),
    'neither sid nor sub': logoutToken({ sid: undefined }),
    'sid that is no text': logoutToken({ sid: 1 }),
    'no jti': logoutToken({ jti: undefined }),
    'no iat': logoutToken({ iat: undefined }),
    'no exp': logoutToken({ exp: undefined }),
    expired: logoutToken({ iat: now - 300, exp: now - 100 }),
    'from the future': logoutToken({ iat: now + 100, exp: now + 200 }),
    'another spelling': `${logoutToken()}=`,
    nothing: '',
  };
  for (const [name, token] of Object.entries(bad)) {
    const answer = await logout(gateway, token);
    t.equal(answer.status, 400, name);
    t.match(await answer.json(), { code: 'invalid_logout_token' });
  }
  const good = logoutToken();
  t.equal((await post(gateway, `logout_token=${good}&logout_token=${good}`)).status, 400, 'two tokens');
  t.equal((await post(gateway, JSON.stringify({ logout_token: good }), 'application/json')).status, 400);
  t.equal((await post(gateway, `logout_token=${'x'.repeat(17_000)}`)).status, 413);
  const got = await fetch(`${gateway.url}${PATH}?logout_token=${good}`);
  t.strictSame([got.status, got.headers.get('allow')], [405, 'POST']);
  t.equal((await entries(gateway)).length, before);
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
        client_secret: 'a secret that is long enough for anybody',
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
