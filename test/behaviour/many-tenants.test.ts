/** One issuer for many tenants of a provider: whose tokens pass, which keys sign for whom, and what a revocation ends. */
import t, { type Test } from 'tap';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { send } from '../support/client.ts';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { AUDIENCE, claimsOf, createKey, encode, mint, mintHmac, type SigningKey } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const A = '11111111-aaaa-4aaa-8aaa-111111111111';
const B = '22222222-bbbb-4bbb-8bbb-222222222222';
const STRANGER = '33333333-cccc-4ccc-8ccc-333333333333';
const HOST = 'https://login.provider.example';
const TEMPLATE = `${HOST}/{tenant}/v2.0`;
const issuerOf = (tenant: string): string => TEMPLATE.replace('{tenant}', tenant);

const key = createKey('RS256');
const many = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  issuer: TEMPLATE,
  tenants: [A, B],
  claim_names: { tenant: 'tid' },
  audiences: [AUDIENCE],
  jwks: { keys: [key.jwk] },
  ...changes,
});
const start = (
  t: Test,
  issuer: Record<string, unknown> = many(),
  more: Record<string, unknown> = {},
): Promise<TestGateway> =>
  startGateway(t, {
    issuers: { provider: issuer, ...(more['issuers'] as object | undefined) },
    routes: more['routes'] ?? [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  });

const claimsFor = (tenant: string, changes: Record<string, unknown> = {}): Record<string, unknown> =>
  claimsOf({ iss: issuerOf(tenant), tid: tenant, ...changes });

/** The status, and the reason in the log; the upstream saw nothing of what was refused. */
async function outcome(on: TestGateway, token: string, path = '/'): Promise<[number, string | undefined]> {
  const lines = on.log.length;
  const before = upstream.seen.length;
  const { status } = await send(on.url, path, { token });
  if (status !== 200 && upstream.seen.length !== before) throw new Error('the upstream saw it');
  const line = on.log.slice(lines).find(({ msg }) => msg === 'request');
  return [status, (line?.['auth'] as { reason?: string } | undefined)?.reason];
}

t.test('J3 a token of each listed tenant passes with its own iss, and services learn which', async (t) => {
  const gateway = await start(t);
  for (const tenant of [A, B]) {
    t.strictSame(await outcome(gateway, mint(key, claimsFor(tenant))), [200, 'ok']);
    t.equal(upstream.seen.at(-1)?.headers['x-token-issuer'], issuerOf(tenant));
  }
});

t.test('J3 with tenants: any the rule decides: every tenant passes with it, and none without', async (t) => {
  const gateway = await start(t, many({ tenants: 'any', claims: { azp: ['our-app'] } }));
  for (const tenant of [A, STRANGER]) {
    t.strictSame(await outcome(gateway, mint(key, claimsFor(tenant, { azp: 'our-app' }))), [200, 'ok']);
    for (const azp of ['their-app', undefined, null])
      t.strictSame(
        await outcome(gateway, mint(key, claimsFor(tenant, { azp }))),
        [401, 'claim'],
        String(azp),
      );
  }
  const odd = claimsFor('a_b', { azp: 'our-app' });
  t.strictSame(await outcome(gateway, mint(key, odd)), [401, 'unknown_issuer'], 'that is no tenant');
});

t.test('J3 every other iss is refused', async (t) => {
  const gateway = await start(t);
  for (const iss of [
    issuerOf(STRANGER),
    issuerOf(A.toUpperCase()),
    TEMPLATE,
    issuerOf(''),
    `${HOST}/v2.0`,
    `${issuerOf(A)}/`,
    issuerOf(A).replace('https', 'http'),
    issuerOf(`${A}/${B}`),
    issuerOf(`${A}%2F`),
    issuerOf(`../${A}`),
    issuerOf(`${A}?`),
    ` ${issuerOf(A)}`,
    issuerOf('common'),
    [issuerOf(A)],
    7,
    undefined,
  ])
    t.strictSame(
      await outcome(gateway, mint(key, claimsFor(A, { iss }))),
      [401, 'unknown_issuer'],
      String(iss),
    );
});

t.test(
  'J3 J20 the tenant in iss is that of the claim: 401 for another, none, or one that is no text',
  async (t) => {
    const gateway = await start(t);
    for (const tid of [B, undefined, '', null, [A], { a: A }, A.toUpperCase()])
      t.equal((await outcome(gateway, mint(key, claimsFor(A, { tid }))))[0], 401, JSON.stringify(tid));
    t.strictSame(await outcome(gateway, mint(key, claimsFor(A, { tid: B }))), [401, 'claim']);
  },
);

t.test('J3 J20 a key that names the issuer of one tenant signs for that tenant only', async (t) => {
  const ofA: SigningKey = createKey('ES256', 'key-of-a');
  const ofAll = createKey('ES256', 'key-of-all');
  const odd = createKey('ES256', 'odd');
  const elsewhere = createKey('ES256', 'elsewhere');
  const keys = [
    { ...ofA.jwk, issuer: issuerOf(A) },
    { ...ofAll.jwk, issuer: `${HOST}/{tenantid}/v2.0` },
    { ...odd.jwk, issuer: 7 },
    { ...elsewhere.jwk, issuer: `${HOST}/{tenantid}/v1.0` },
  ];
  const gateway = await start(t, many({ jwks: { keys } }));
  t.strictSame(await outcome(gateway, mint(ofA, claimsFor(A))), [200, 'ok']);
  t.strictSame(await outcome(gateway, mint(ofA, claimsFor(B))), [401, 'bad_signature']);
  t.strictSame(await outcome(gateway, mint(ofA, claimsFor(B), { kid: undefined })), [401, 'bad_signature']);
  for (const tenant of [A, B])
    t.strictSame(await outcome(gateway, mint(ofAll, claimsFor(tenant))), [200, 'ok']);
  for (const bad of [odd, elsewhere])
    t.strictSame(await outcome(gateway, mint(bad, claimsFor(A))), [401, 'bad_signature']);
});

t.test('J3 one key under two issuers of a set serves both of them, and no third', async (t) => {
  const keys = [A, B].map((tenant) => ({ ...key.jwk, issuer: issuerOf(tenant) }));
  const gateway = await start(t, many({ tenants: [A, B, STRANGER], jwks: { keys } }));
  for (const tenant of [A, B])
    t.strictSame(await outcome(gateway, mint(key, claimsFor(tenant))), [200, 'ok']);
  t.strictSame(await outcome(gateway, mint(key, claimsFor(STRANGER))), [401, 'bad_signature']);
});

t.test('J3 J20 of an issuer with one iss, too, a key that names another issuer does not sign', async (t) => {
  const named = (issuer: unknown, kid: string): [SigningKey, object] => {
    const signer = createKey('ES256', kid);
    return [signer, { ...signer.jwk, issuer }];
  };
  const own = [
    named(issuerOf(A), 'own'),
    named(`${HOST}/{tenantid}/v2.0`, 'template'),
    named(undefined, 'none'),
    named(7, 'no text'),
    named('the provider', 'no URL'),
  ];
  const others = [named(issuerOf(B), 'tenant'), named('https://other.example/v2.0', 'server')];
  const jwks = { keys: [...own, ...others].map(([, jwk]) => jwk) };
  const exact = { issuer: issuerOf(A), audiences: [AUDIENCE], jwks };
  const gateway = await start(t, exact);
  for (const [signer] of own)
    t.strictSame(await outcome(gateway, mint(signer, claimsFor(A))), [200, 'ok'], signer.kid);
  for (const [signer] of others) {
    t.strictSame(await outcome(gateway, mint(signer, claimsFor(A))), [401, 'bad_signature'], signer.kid);
    const nameless = mint(signer, claimsFor(A), { kid: undefined });
    t.strictSame(await outcome(gateway, nameless), [401, 'bad_signature'], signer.kid);
  }
});

t.test('J3 keys of Entra ID that name version 2.0 sign for version 1.0 of their tenant', async (t) => {
  const iss = `https://sts.windows.test/${A}/`;
  const [ofA, ofB] = [createKey('ES256', 'of-a'), createKey('ES256', 'of-b')];
  const keys = [
    { ...ofA.jwk, issuer: issuerOf(A) },
    { ...ofB.jwk, issuer: issuerOf(B) },
  ];
  const gateway = await start(t, { issuer: iss, audiences: [AUDIENCE], jwks: { keys } });
  t.strictSame(await outcome(gateway, mint(ofA, claimsFor(A, { iss }))), [200, 'ok']);
  t.strictSame(await outcome(gateway, mint(ofB, claimsFor(A, { iss }))), [401, 'bad_signature']);
});

t.test('J3 a key says nothing of tokens without iss', async (t) => {
  const jwks = { keys: [{ ...key.jwk, issuer: issuerOf(A) }] };
  const routes = [{ name: 'r', match: {}, upstream: 'u', auth: { issuers: ['provider'] } }];
  const gateway = await start(t, { no_iss: true, audiences: [AUDIENCE], jwks }, { routes });
  t.strictSame(await outcome(gateway, mint(key, claimsOf({ iss: undefined }))), [200, 'ok']);
});

t.test('C5 the algorithms hold for every tenant', async (t) => {
  const gateway = await start(t);
  const pem = key.publicKey.export({ type: 'spki', format: 'pem' });
  t.strictSame(await outcome(gateway, mintHmac(pem.toString(), claimsFor(A))), [401, 'bad_signature']);
  const unsigned = `${encode({ alg: 'none', typ: 'at+jwt' })}.${encode(claimsFor(A))}.AA`;
  t.strictSame(await outcome(gateway, unsigned), [401, 'bad_signature']);
});

interface Provider {
  readonly url: string;
  /** The paths that were asked for. */
  readonly asked: string[];
  metadataIssuer: string;
}

async function startProvider(t: Test, keys: readonly object[]): Promise<Provider> {
  const url = await startServer(t, (request, response) => {
    provider.asked.push(request.url ?? '');
    const body =
      request.url === '/keys'
        ? { keys }
        : { issuer: provider.metadataIssuer, jwks_uri: `${provider.url}/keys` };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  const provider: Provider = { url, asked: [], metadataIssuer: `${url}/{tenantid}/v2.0` };
  return provider;
}

t.test(
  'K4 discovery finds the keys of all tenants at once, from metadata that names the template',
  async (t) => {
    const provider = await startProvider(t, [key.jwk]);
    const at = (tenant: string): string => `${provider.url}/${tenant}/v2.0`;
    const gateway = await start(
      t,
      many({ issuer: `${provider.url}/{tenant}/v2.0`, jwks: undefined, discovery: true }),
    );
    for (const tenant of [A, B])
      t.strictSame(await outcome(gateway, mint(key, claimsFor(tenant, { iss: at(tenant) }))), [200, 'ok']);
    t.strictSame(provider.asked, ['/common/v2.0/.well-known/openid-configuration', '/keys']);
  },
);

t.test('K4 metadata that names one tenant, or another template, gives no keys', async (t) => {
  const provider = await startProvider(t, [key.jwk]);
  for (const named of [
    '/common/v2.0',
    `/${A}/v2.0`,
    '/{tenantid}/v1.0',
    '/{a}{b}/v2.0',
    '/{tenantid}/v2.0/',
  ]) {
    provider.metadataIssuer = `${provider.url}${named}`;
    const gateway = await start(
      t,
      many({ issuer: `${provider.url}/{tenant}/v2.0`, jwks: undefined, discovery: true }),
    );
    const iss = `${provider.url}/${A}/v2.0`;
    t.strictSame(await outcome(gateway, mint(key, claimsFor(A, { iss }))), [503, 'keys_unavailable'], named);
  }
  t.notOk(provider.asked.includes('/keys'), 'the keys were never asked for');
});

t.test('J3 J20 keys that come from the disk still sign for the tenant that they name only', async (t) => {
  const folder = temporaryFolder(t);
  const cache = join(folder, 'keys');
  let isDown = false;
  const url = await startServer(t, (_, response) => {
    if (isDown) response.writeHead(503).end();
    else response.end(JSON.stringify({ keys: [{ ...key.jwk, issuer: issuerOf(A) }] }));
  });
  const issuer = many({ jwks: undefined, jwks_url: `${url}/keys`, keys: { cache_dir: cache } });
  await start(t, issuer);
  await until(() => existsSync(cache) && readdirSync(cache).some((name) => name.endsWith('.json')));
  isDown = true;
  const gateway = await start(t, issuer);
  t.strictSame(await outcome(gateway, mint(key, claimsFor(A))), [200, 'ok']);
  t.strictSame(await outcome(gateway, mint(key, claimsFor(B))), [401, 'bad_signature']);
});

t.test('V12 a revocation by name or template ends the tokens of every tenant', async (t) => {
  for (const issuer of ['provider', TEMPLATE]) {
    const gateway = await start(t);
    const tokens = [A, B].map((tenant) => mint(key, claimsFor(tenant, { sub: 'mallory' })));
    for (const token of tokens) t.strictSame(await outcome(gateway, token), [200, 'ok']);
    const { status } = await gateway.admin('POST', '/v1/revocations', { issuer, subject: 'mallory' });
    t.equal(status, 201);
    for (const token of tokens) t.strictSame(await outcome(gateway, token), [401, 'revoked']);
    t.strictSame(await outcome(gateway, mint(key, claimsFor(A, { sub: 'alice' }))), [200, 'ok']);
  }
});

t.test('V12 a revocation with the iss of one tenant ends tokens of that tenant only', async (t) => {
  const gateway = await start(t);
  const [ofA, ofB] = [A, B].map((tenant) => mint(key, claimsFor(tenant, { sub: 'same' })));
  const revoke = (issuer: string): Promise<Response> =>
    gateway.admin('POST', '/v1/revocations', { issuer, subject: 'same' });
  t.equal((await revoke(issuerOf(STRANGER))).status, 400, 'a tenant that is not listed is no issuer here');
  t.equal((await revoke(issuerOf(A))).status, 201);
  t.strictSame(await outcome(gateway, ofA ?? ''), [401, 'revoked']);
  t.strictSame(await outcome(gateway, ofB ?? ''), [200, 'ok']);
});

t.test('V11 V12 one token is revoked by its text, by whichever name of its issuer', async (t) => {
  const gateway = await start(t);
  for (const issuer of [undefined, 'provider', TEMPLATE, issuerOf(A)]) {
    const [token, other] = [A, B].map((tenant) => mint(key, claimsFor(tenant, { jti: `j-${issuer}` })));
    const wrong = await gateway.admin('POST', '/v1/revocations', { issuer: issuerOf(B), token });
    t.equal(wrong.status, 400, 'it is not a token of that tenant');
    t.equal((await gateway.admin('POST', '/v1/revocations', { issuer, token })).status, 201);
    t.strictSame(await outcome(gateway, token ?? ''), [401, 'revoked']);
    t.strictSame(await outcome(gateway, other ?? ''), [200, 'ok'], 'another tenant may use the same jti');
  }
});

t.test('an entry by name lives as long as a token of any tenant', async (t) => {
  const gateway = await start(t, many({ max_lifetime: '100d' }));
  for (const issuer of ['provider', issuerOf(A)]) {
    const response = await gateway.admin('POST', '/v1/revocations', { issuer, subject: `s-${issuer}` });
    const { expires_at, created_at } = (await response.json()) as { expires_at: number; created_at: number };
    t.ok(expires_at - created_at >= 100 * 86_400, issuer);
  }
});

t.test('a logout of one tenant ends its session, and no session of another', async (t) => {
  const logout = { host: 'logout.example', path: '/logout', client_ids: ['web'] };
  const gateway = await start(t, many({ backchannel_logout: logout }));
  const [ofA, ofB] = [A, B].map((tenant) => mint(key, claimsFor(tenant, { sid: 's1' })));
  const tell = async (tenant: string, changes: Record<string, unknown> = {}): Promise<number> => {
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
    const claims = claimsFor(tenant, { sid: 's1', aud: 'web', jti: 'one', events, ...changes });
    const body = `logout_token=${mint(key, claims, { typ: 'logout+jwt' })}`;
    return (
      await send(gateway.url, '/logout', {
        method: 'POST',
        headers: ['host', 'logout.example', 'content-type', 'application/x-www-form-urlencoded'],
        body,
      })
    ).status;
  };
  t.equal(await tell(STRANGER), 400);
  t.strictSame(await outcome(gateway, ofA ?? ''), [200, 'ok']);
  t.equal(await tell(A), 200);
  t.strictSame(await outcome(gateway, ofA ?? ''), [401, 'revoked']);
  t.strictSame(await outcome(gateway, ofB ?? ''), [200, 'ok']);
  t.equal(await tell(B), 200, 'a jti of one tenant is not spent for another');
  t.equal(await tell(A), 400, 'it is spent for its own');
  t.strictSame(await outcome(gateway, ofB ?? ''), [401, 'revoked']);
});

t.test('J3 an issuer on another server must not speak for a tenant', async (t) => {
  const iss = issuerOf(STRANGER);
  let told: Record<string, unknown> = { active: true, iss: issuerOf(A) };
  const url = await startServer(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(told));
  });
  const gateway = await start(t, many(), {
    issuers: { opaque: { introspection: { url, client_id: 'g', client_secret: 's', cache: '0s' } } },
    routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u', auth: { issuers: ['opaque'] } }],
  });
  t.strictSame(await outcome(gateway, 'opaque-1'), [401, 'unknown_issuer']);
  told = { active: true, iss };
  t.strictSame(
    await outcome(gateway, 'opaque-2'),
    [200, 'ok'],
    'a tenant that is not ours is none of our issuers',
  );
});
