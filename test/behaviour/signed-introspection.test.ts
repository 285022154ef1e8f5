/** Signed introspection responses (RFC 9701): what is not signed by the issuer, for this client, just now, is no response. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { json, startFallibleServer, type FallibleServer } from '../support/fallible-authorization-server.ts';
import { send } from '../support/client.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey, encode, ISSUER, mint, mintHmac, nowSeconds, type SigningKey } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey();
const TYPE = 'application/token-introspection+jwt';

const claimsOf = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  iss: ISSUER,
  aud: 'gateway',
  iat: nowSeconds(),
  token_introspection: { active: true, sub: 'olga' },
  ...changes,
});

const responseOf = (
  changes: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  signer: SigningKey = key,
): string => mint(signer, claimsOf(changes), { typ: 'token-introspection+jwt', ...header });

const sends = (authority: FallibleServer, body: string, type = TYPE): void => {
  authority.otherwise = (response) => response.writeHead(200, { 'content-type': type }).end(body);
};

interface Scene {
  readonly authority: FallibleServer;
  readonly gateway: TestGateway;
  readonly keys: SigningKey[];
  /** What a new token gets. */
  readonly status: () => Promise<number>;
}

async function scene(t: Test, changes: Record<string, unknown> = {}): Promise<Scene> {
  const authority = await startFallibleServer(t);
  const keys = [key];
  const jwksUrl = await startServer(t, (_request, response) =>
    json(response, 200, { keys: keys.map(({ jwk }) => jwk) }),
  );
  const gateway = await startGateway(
    t,
    {
      issuers: {
        opaque: {
          issuer: ISSUER,
          introspection: {
            url: authority.url,
            client_id: 'gateway',
            client_secret: 'secret',
            signed_response: true,
            jwks_url: jwksUrl,
            ...changes,
          },
        },
      },
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { issuers: ['opaque'] } }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock: new ManualClock() },
  );
  let number = 0;
  const status = async (): Promise<number> => {
    const seen = upstream.seen.length;
    const response = await send(gateway.url, '/', { token: `opaque-${number++}` });
    if (response.status !== 200 && upstream.seen.length > seen)
      throw new Error('the upstream saw a refused request');
    return response.status;
  };
  return { authority, gateway, keys, status };
}

t.test('I12 a signed response decides, whether it accepts or refuses the token', async (t) => {
  const { authority, status } = await scene(t);
  sends(authority, responseOf());
  t.equal(await status(), 200);
  t.equal(upstream.seen.at(-1)?.headers['x-user-id'], 'olga');
  t.equal(authority.requests[0]?.headers.accept, TYPE);
  sends(
    authority,
    responseOf({ aud: ['other', 'gateway'] }, { typ: TYPE.toUpperCase() }),
    `${TYPE}; charset=utf-8`,
  );
  t.equal(await status(), 200);
  sends(authority, responseOf({ token_introspection: { active: false } }));
  t.equal(await status(), 401);
});

t.test('I12 what is not signed so is 503: it says nothing about the token', async (t) => {
  const { authority, status } = await scene(t);
  const now = nowSeconds();
  const stranger = createKey('ES256', key.kid);
  const unsigned = `${encode({ alg: 'none', typ: 'token-introspection+jwt' })}.${encode(claimsOf())}.`;
  const bodies: Record<string, string> = {
    'typ of an access token': responseOf({}, { typ: 'at+jwt' }),
    'no typ': responseOf({}, { typ: undefined }),
    'another issuer': responseOf({ iss: `${ISSUER}/` }),
    'another client': responseOf({ aud: 'other' }),
    'no client': responseOf({ aud: undefined }),
    'an old one': responseOf({ iat: now - 60 }),
    'one of tomorrow': responseOf({ iat: now + 60 }),
    'no iat': responseOf({ iat: undefined }),
    'iat as text': responseOf({ iat: String(now) }),
    'an expired one': responseOf({ exp: now - 60 }),
    'another key': responseOf({}, {}, stranger),
    'no signature': unsigned,
    'signed with the client secret': mintHmac('secret', claimsOf(), { typ: 'token-introspection+jwt' }),
    'signed with the public key as a secret': mintHmac(JSON.stringify(key.jwk), claimsOf(), {
      typ: 'token-introspection+jwt',
    }),
    'claims outside of token_introspection': responseOf({ token_introspection: undefined, active: true }),
    'active as text': responseOf({ token_introspection: { active: 'true' } }),
    'an array': responseOf({ token_introspection: [{ active: true }] }),
    'white space around it': ` ${responseOf()}\n`,
    'plain JSON by another name': JSON.stringify({ active: true, sub: 'olga' }),
    'no body': '',
  };
  for (const [what, body] of Object.entries(bodies)) {
    sends(authority, body);
    t.equal(await status(), 503, what);
  }
  sends(authority, responseOf(), 'application/jwt');
  t.equal(await status(), 503, 'another content type');
  authority.otherwise = { active: true, sub: 'olga' };
  t.equal(await status(), 503, 'plain JSON that accepts');
  authority.otherwise = { active: false };
  t.equal(await status(), 503, 'plain JSON that refuses');
  sends(authority, responseOf());
  t.equal(await status(), 200, 'and good responses still count');
});

t.test('J1 I12 a response is never an access token, and an access token never a response', async (t) => {
  const authority = await startFallibleServer(t);
  const gateway = await startGateway(t, {
    issuers: { login: { issuer: ISSUER, jwks: { keys: [key.jwk] }, token_type: 'any' } },
    routes: [{ name: 'all', match: {}, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const seen = upstream.seen.length;
  const token = responseOf({ exp: nowSeconds() + 60, sub: 'olga' });
  t.equal((await send(gateway.url, '/', { token })).status, 401);
  t.equal(upstream.seen.length, seen);
  t.strictSame(authority.asked, []);
});

t.test('K0 a response signed by a key that was just published waits for it', async (t) => {
  const authority = await startFallibleServer(t);
  const [keys, next] = [[key], createKey()];
  const jwksUrl = await startServer(t, (_request, response) =>
    json(response, 200, { keys: keys.map(({ jwk }) => jwk) }),
  );
  const introspection = {
    url: authority.url,
    client_id: 'gateway',
    client_secret: 'secret',
    signed_response: true,
    jwks_url: jwksUrl,
  };
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    {
      issuers: { opaque: { issuer: ISSUER, introspection } },
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { issuers: ['opaque'] } }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
  clock.advance(6_000);
  keys.push(next);
  sends(authority, responseOf({ iat: Math.floor(clock.nowMs() / 1000) }, {}, next));
  t.equal((await send(gateway.url, '/', { token: 'opaque' })).status, 200);
  t.match(gateway.instance.readiness.report, [/./, /./, /keys of opaque/], 'readiness names its keys');
  t.equal((await gateway.admin('POST', '/v1/issuers/opaque/keys/refresh')).status, 200);
});

t.test('K6 a token file is for the key set, where introspection authenticates in another way', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'token'), 'gateway-token');
  const authority = await startFallibleServer(t);
  sends(authority, responseOf());
  const asked: (string | undefined)[] = [];
  const jwksUrl = await startServer(t, ({ headers }, response) => {
    asked.push(headers.authorization);
    json(response, 200, { keys: [key.jwk] });
  });
  const introspection = {
    url: authority.url,
    auth_method: 'client_secret_post',
    client_id: 'gateway',
    client_secret: 'secret',
    signed_response: true,
    jwks_url: jwksUrl,
  };
  const gateway = await startGateway(
    t,
    {
      issuers: { opaque: { issuer: ISSUER, introspection, http: { bearer_token_file: 'token' } } },
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { issuers: ['opaque'] } }],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { folder },
  );
  t.equal((await send(gateway.url, '/', { token: 'opaque' })).status, 200);
  t.strictSame(asked, ['Bearer gateway-token']);
  t.equal(authority.requests[0]?.headers.authorization, undefined);
});
