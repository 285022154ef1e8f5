/** Global token revocation (draft-parecki-oauth-global-token-revocation, Okta Universal Logout). Rules J18, V4, V7, V13, V16. */
import { randomUUID } from 'node:crypto';
import t from 'tap';
import { alone } from '../../src/assembly/place.ts';
import type { GlobalRevocationRefusalReason } from '../../src/token/global-revocation-refusal.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds, type SigningKey } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const URL_OF_ENDPOINT = 'https://127.0.0.1/global-token-revocation';
const PATH = '/global-token-revocation';
const TYPE = 'global-token-revocation+jwt';
const CALLER = '0oa-universal-logout';
const upstream = await startUpstream(t);
const key = createKey('ES256');

function configuration(
  revocation: Record<string, unknown> = {},
  issuer: Record<string, unknown> = loginIssuer(key),
): Record<string, unknown> {
  return {
    issuers: {
      login: {
        ...issuer,
        global_token_revocation: { url: URL_OF_ENDPOINT, callers: ['other', CALLER], ...revocation },
      },
    },
    routes: [{ name: 'all', match: { path_prefix: '/' }, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  };
}

/** The JWT that Okta sends. */
function jwt(
  changes: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  by: SigningKey = key,
): string {
  const now = nowSeconds();
  const claims = {
    iss: ISSUER,
    sub: CALLER,
    aud: URL_OF_ENDPOINT,
    iat: now,
    nbf: now - 300,
    exp: now + 300,
    jti: randomUUID(),
    ...changes,
  };
  const present = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
  return mint(by, present, { typ: TYPE, ...header });
}

const issSub = (sub: unknown = 'alice', iss: unknown = ISSUER): object => ({
  sub_id: { format: 'iss_sub', iss, sub },
});

function post(
  gateway: TestGateway,
  body: unknown,
  authorization: string | undefined = `Bearer ${jwt()}`,
  type = 'application/json',
): Promise<Response> {
  return fetch(`${gateway.url}${PATH}`, {
    method: 'POST',
    headers: {
      'content-type': type,
      ...(authorization === undefined || authorization === '' ? {} : { authorization }),
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

interface Entry {
  readonly target: Record<string, unknown>;
  readonly created_by: string;
  readonly reason: string;
}
const entries = async (gateway: TestGateway): Promise<Entry[]> =>
  ((await (await gateway.admin('GET', '/v1/revocations')).json()) as { revocations: Entry[] }).revocations;
const counted = (gateway: TestGateway, result: string): Promise<number> =>
  gateway.metric(`sallyport_global_revocations_total{issuer="login",result="${result}"}`);

t.test('V13 204 means that all tokens of the subject end, and V4 that the next login works', async (t) => {
  const gateway = await startGateway(t, configuration());
  const status = async (token: string): Promise<number> => (await send(gateway.url, '/', { token })).status;
  const [alice, bob] = ['alice', 'bob'].map((sub) => mint(key, claimsOf({ sub })));
  t.strictSame([await status(alice ?? ''), await status(bob ?? '')], [200, 200]);
  const seen = upstream.seen.length;

  const response = await post(gateway, issSub());
  t.strictSame([response.status, await response.text()], [204, '']);
  t.equal(response.headers.get('cache-control'), 'no-store');
  t.strictSame([await status(alice ?? ''), await status(bob ?? '')], [401, 200]);
  const later = mint(key, claimsOf({ sub: 'alice', iat: nowSeconds() + 2 }));
  t.equal(await status(later), 200);
  t.equal(upstream.seen.length, seen + 2, 'the revocation goes to no upstream');

  t.match(await entries(gateway), [
    {
      target: { subject: 'alice' },
      created_by: 'global-token-revocation:login',
      reason: `asked by ${CALLER}`,
    },
  ]);
  const by = 'global-token-revocation:login';
  t.match(
    gateway.log.filter(({ msg }) => msg === 'audit'),
    [{ audit: { action: 'revoke', by, from: '127.0.0.1', kind: 'subject', changed: true } }],
  );
  t.equal(await counted(gateway, 'accepted'), 1);
  t.equal(await gateway.metric(`sallyport_revocation_changes_total{action="revoke",by="${by}"}`), 1);

  const opaque = { sub_id: { format: 'opaque', id: 'bob' } };
  t.equal((await post(gateway, opaque, undefined, 'application/json; charset=utf-8')).status, 204);
  t.equal(await status(bob ?? ''), 401);
  t.equal((await post(gateway, issSub('a stranger'))).status, 204, 'who exists is not known here');
  t.equal((await send(gateway.url, `${PATH}/more`, { token: later })).status, 200, 'only that path');
  t.equal((await fetch(`${gateway.adminUrl}${PATH}`, { method: 'POST' })).status, 404);
});

t.test('what is no JWT for this endpoint is 401, and revokes nothing', async (t) => {
  const gateway = await startGateway(t, configuration());
  const now = nowSeconds();
  const used = jwt();
  t.equal((await post(gateway, issSub('used'), `Bearer ${used}`)).status, 204);
  const before = JSON.stringify(await entries(gateway));
  const seen = upstream.seen.length;
  const bad: Record<string, [token: string, reason: GlobalRevocationRefusalReason]> = {
    'used before': [used, 'used_before'],
    'used before, with other claims': [
      jwt({ jti: (JSON.parse(atob(used.split('.')[1] ?? '')) as { jti: string }).jti, exp: now + 200 }),
      'used_before',
    ],
    'J18 an access token': [mint(key, claimsOf({ sub: CALLER, aud: URL_OF_ENDPOINT })), 'wrong_type'],
    'J18 an ID token': [jwt({}, { typ: 'JWT' }), 'wrong_type'],
    'no typ': [jwt({}, { typ: undefined }), 'wrong_type'],
    'a logout token': [jwt({}, { typ: 'logout+jwt' }), 'wrong_type'],
    'a stranger’s signature': [jwt({}, {}, { ...createKey('ES256'), kid: key.kid }), 'bad_signature'],
    'a stranger’s key': [jwt({}, {}, createKey('ES256')), 'unknown_key'],
    'an algorithm that the issuer does not use': [jwt({}, { alg: 'HS256' }), 'bad_signature'],
    'another issuer': [jwt({ iss: 'https://evil.example' }), 'wrong_issuer'],
    'no issuer': [jwt({ iss: undefined }), 'wrong_issuer'],
    'no aud': [jwt({ aud: undefined }), 'wrong_audience'],
    'aud of another place': [jwt({ aud: `${URL_OF_ENDPOINT}/` }), 'wrong_audience'],
    'aud of another host': [
      jwt({ aud: ['https://gw.example.com/global-token-revocation'] }),
      'wrong_audience',
    ],
    'no jti': [jwt({ jti: undefined }), 'no_token_id'],
    'V16 jti that is empty': [jwt({ jti: '' }), 'no_token_id'],
    'jti that is no text': [jwt({ jti: 7 }), 'no_token_id'],
    'no exp': [jwt({ exp: undefined }), 'bad_date'],
    'exp that is no number': [jwt({ exp: 'soon' }), 'bad_date'],
    'iat that is no number': [jwt({ iat: null }), 'bad_date'],
    expired: [jwt({ exp: now - 60 }), 'expired'],
    'exp more than 5 minutes ahead': [jwt({ exp: now + 1_000 }), 'lives_too_long'],
    'nbf ahead': [jwt({ nbf: now + 100 }), 'not_yet_valid'],
    'iat ahead': [jwt({ iat: now + 100 }), 'not_yet_valid'],
    'another spelling': [`${jwt()}=`, 'malformed'],
    'an opaque token': ['f5641763544a7b24b08e4f74045', 'malformed'],
  };
  for (const [name, [token, reason]] of Object.entries(bad)) {
    const count = await counted(gateway, reason);
    const response = await post(gateway, issSub(), `Bearer ${token}`);
    t.match(
      [response.status, await response.json(), response.headers.get('www-authenticate')],
      [401, { code: 'invalid_token' }, 'Bearer realm="test", error="invalid_token"'],
      name,
    );
    t.equal(await counted(gateway, reason), count + 1, `${name}: ${reason} is counted`);
    const line = gateway.log.findLast(({ msg }) => msg === 'a global token revocation was refused');
    t.match(line, { level: 'warn', issuer: 'login', reason, client_ip: '127.0.0.1' }, name);
  }
  for (const authorization of ['', 'Basic YTpi', 'Bearer', `DPoP ${jwt()}`]) {
    const response = await post(gateway, issSub(), authorization);
    t.equal(response.status, 401, authorization);
    t.equal(response.headers.get('www-authenticate'), 'Bearer realm="test"', authorization);
  }
  t.equal(JSON.stringify(await entries(gateway)), before);
  t.equal(upstream.seen.length, seen, 'the upstream saw nothing');
  t.equal(await counted(gateway, 'no_credentials'), 4);
});

t.test('a JWT for this endpoint authenticates no request', async (t) => {
  const gateway = await startGateway(
    t,
    configuration({}, { issuer: ISSUER, jwks: { keys: [key.jwk] }, token_type: 'any' }),
  );
  const seen = upstream.seen.length;
  t.equal((await send(gateway.url, '/', { token: jwt() })).status, 401);
  t.equal(upstream.seen.length, seen);
});

t.test('a caller that is not named, or names a subject of another issuer, is 403', async (t) => {
  const gateway = await startGateway(t, configuration());
  const one = jwt();
  t.equal((await post(gateway, issSub(), `Bearer ${jwt({ sub: 'alice' })}`)).status, 403);
  t.equal((await post(gateway, issSub(), `Bearer ${jwt({ sub: undefined })}`)).status, 403);
  for (const iss of ['https://other.example', `${ISSUER}/`, 'login'])
    t.equal((await post(gateway, issSub('alice', iss), `Bearer ${one}`)).status, 403, iss);
  t.strictSame(await entries(gateway), []);
  t.strictSame([await counted(gateway, 'unknown_caller'), await counted(gateway, 'other_issuer')], [2, 3]);
  t.equal(
    (await post(gateway, issSub(), `Bearer ${one}`)).status,
    204,
    'refused for its body, it is not used up',
  );
});

t.test('a body that names no subject is 400, and revokes nothing', async (t) => {
  const gateway = await startGateway(t, configuration());
  const bad: Record<string, [body: unknown, reason: GlobalRevocationRefusalReason]> = {
    'no JSON': ['sub_id=alice', 'bad_body'],
    'a list': [[issSub()], 'bad_body'],
    'no sub_id': [{}, 'bad_body'],
    'the name of the member in older drafts': [{ subject: { format: 'opaque', id: 'alice' } }, 'bad_body'],
    'another member beside it': [{ ...issSub(), reason: 'x' }, 'bad_body'],
    'sub_id that is text': [{ sub_id: 'alice' }, 'bad_body'],
    'two members of one name': ['{"sub_id":{"format":"opaque","id":"a","id":"b"}}', 'bad_body'],
    'a member that the format has not': [
      { sub_id: { format: 'opaque', id: 'alice', session: 'phone' } },
      'bad_body',
    ],
    'V16 an empty sub': [issSub(''), 'bad_body'],
    'a sub that is no text': [issSub(7), 'bad_body'],
    'no sub': [{ sub_id: { format: 'iss_sub', iss: ISSUER } }, 'bad_body'],
    'no format': [{ sub_id: { id: 'alice' } }, 'unknown_format'],
    'an unknown format': [
      { sub_id: { format: 'phone_number', phone_number: '+12065550100' } },
      'unknown_format',
    ],
    aliases: [{ sub_id: { format: 'aliases', identifiers: [] } }, 'unknown_format'],
    'email, and no claim for it': [{ sub_id: { format: 'email', email: 'a@example.com' } }, 'unknown_format'],
  };
  for (const [name, [body, reason]] of Object.entries(bad)) {
    const count = await counted(gateway, reason);
    const response = await post(gateway, body);
    t.match([response.status, await response.json()], [400, { code: 'invalid_request' }], name);
    t.equal(await counted(gateway, reason), count + 1, name);
  }
  t.equal((await post(gateway, issSub(), undefined, 'text/plain')).status, 400);
  t.equal((await post(gateway, JSON.stringify(issSub()) + ' '.repeat(17_000))).status, 413);
  const got = await fetch(`${gateway.url}${PATH}`, { headers: { authorization: `Bearer ${jwt()}` } });
  t.strictSame([got.status, got.headers.get('allow')], [405, 'POST']);
  t.strictSame(await entries(gateway), []);
  for (const reason of ['not_json', 'body_too_large', 'not_posted'])
    t.equal(await counted(gateway, reason), 1, reason);
});

t.test('a user is named by an e-mail address where a claim is configured for it', async (t) => {
  const email = { sub_id: { format: 'email', email: 'alice@example.com' } };
  const asClaim = await startGateway(t, {
    ...configuration({ email_claim: 'email' }),
    revocation: { claims: ['email'] },
  });
  const token = mint(key, claimsOf({ email: 'alice@example.com' }));
  const other = mint(key, claimsOf({ email: 'bob@example.com' }));
  t.equal((await send(asClaim.url, '/', { token })).status, 200);
  t.equal((await post(asClaim, email)).status, 204);
  t.equal((await send(asClaim.url, '/', { token })).status, 401);
  t.equal((await send(asClaim.url, '/', { token: other })).status, 200);

  const asSubject = await startGateway(t, configuration({ email_claim: 'sub' }));
  t.equal((await post(asSubject, email)).status, 204);
  t.match(await entries(asSubject), [{ target: { subject: 'alice@example.com' } }]);
});

t.test('of an issuer of many tenants, one tenant ends its own subjects only', async (t) => {
  const TENANT_ISSUER = 'https://login.example.com/{tenant}/v2';
  const gateway = await startGateway(
    t,
    configuration(
      {},
      {
        ...loginIssuer(key),
        issuer: TENANT_ISSUER,
        tenants: ['red', 'blue'],
        claim_names: { tenant: 'tid' },
      },
    ),
  );
  const issOf = (tenant: string): string => TENANT_ISSUER.replace('{tenant}', tenant);
  const tokenOf = (tid: string): string => mint(key, claimsOf({ iss: issOf(tid), tid }));
  const [red, blue] = [tokenOf('red'), tokenOf('blue')];
  const byRed = (): string => `Bearer ${jwt({ iss: issOf('red') })}`;
  t.equal((await post(gateway, issSub('alice', issOf('blue')), byRed())).status, 403);
  t.equal((await post(gateway, issSub('alice', TENANT_ISSUER), byRed())).status, 403);
  t.equal((await post(gateway, issSub(), `Bearer ${jwt({ iss: issOf('green') })}`)).status, 401);
  t.equal((await post(gateway, { sub_id: { format: 'opaque', id: 'alice' } }, byRed())).status, 204);
  t.equal((await send(gateway.url, '/', { token: red })).status, 401);
  t.equal((await send(gateway.url, '/', { token: blue })).status, 200);
});

t.test('another issuer signs where the configuration says so, and ends subjects of this one', async (t) => {
  const ORG = 'https://acme.okta.example';
  const org = createKey('ES256');
  const document = configuration({ signed_by: 'org' });
  const gateway = await startGateway(t, {
    ...document,
    issuers: {
      ...(document['issuers'] as object),
      org: { issuer: ORG, jwks: { keys: [org.jwk] }, audiences: [URL_OF_ENDPOINT] },
    },
  });
  const byOrg = (): string => `Bearer ${jwt({ iss: ORG }, {}, org)}`;
  const tokens = ['alice', 'bob', 'carol'].map((sub) => mint(key, claimsOf({ sub })));
  t.equal((await post(gateway, issSub())).status, 401, 'a JWT of the issuer itself');
  t.equal((await post(gateway, issSub('alice', ORG), byOrg())).status, 204);
  t.equal((await post(gateway, issSub('bob', ISSUER), byOrg())).status, 204);
  t.equal((await post(gateway, issSub('carol', 'https://third.example'), byOrg())).status, 403);
  const statuses = await Promise.all(
    tokens.map(async (token) => (await send(gateway.url, '/', { token })).status),
  );
  t.strictSame(statuses, [401, 401, 200]);
  const audit = gateway.log.findLast(({ msg }) => msg === 'audit');
  t.match(audit, { audit: { issuer: ISSUER } });
  const seen = upstream.seen.length;
  const { status: refused } = await send(gateway.url, '/', { token: jwt({ iss: ORG }, {}, org) });
  t.equal(refused, 401, 'it authenticates no request, although its aud is accepted');
  t.equal(upstream.seen.length, seen);
});

t.test('a JWT that was used at one gateway is used at all of them', async (t) => {
  const store = `sqlite:${temporaryFolder(t)}/list.sqlite`;
  const shared = { ...configuration(), revocation: { store } };
  const [first, second] = [await startGateway(t, shared), await startGateway(t, shared)];
  const token = `Bearer ${jwt()}`;
  t.equal((await post(first, issSub(), token)).status, 204);
  t.equal((await post(second, issSub('bob'), token)).status, 401);
  t.equal(await counted(second, 'used_before'), 1);
  const race = `Bearer ${jwt()}`;
  const statuses = await Promise.all(
    [first, second, first, second].map(async (gateway) => (await post(gateway, issSub(), race)).status),
  );
  t.strictSame(statuses.sort(), [204, 401, 401, 401]);
});

t.test(
  'V7 V13 what cannot be stored is 503, and so is a JWT of which it is not known whether it was used',
  async (t) => {
    const failing = { replay: false, store: false };
    const gateway = await startGateway(t, configuration(), {
      place(loaded, clock) {
        const place = alone(loaded, clock);
        const firstUse = place.replay.firstUse.bind(place.replay);
        place.replay.firstUse = (...use) =>
          failing.replay ? Promise.reject(new Error('lost')) : firstUse(...use);
        const revoke = place.store.revoke.bind(place.store);
        place.store.revoke = (request) =>
          failing.store ? Promise.reject(new Error('lost')) : revoke(request);
        return place;
      },
    });
    for (const [part, reason] of [
      ['replay', 'replay_unavailable'],
      ['store', 'store_unavailable'],
    ] as const) {
      failing[part] = true;
      const response = await post(gateway, issSub());
      t.match([response.status, await response.json()], [503, { code: 'store_unavailable' }], part);
      t.equal(response.headers.get('retry-after'), '1');
      t.equal(await counted(gateway, reason), 1);
      failing[part] = false;
    }
    t.strictSame(await entries(gateway), []);
    t.equal((await post(gateway, issSub())).status, 204);
  },
);

t.test('a flood of refused requests has log.refusals warnings a second', async (t) => {
  const gateway = await startGateway(t, { ...configuration(), log: { refusals: 2 } });
  for (let sent = 0; sent < 5; sent++) t.equal((await post(gateway, issSub(), 'Bearer bad')).status, 401);
  t.ok(gateway.log.filter(({ msg }) => msg === 'a global token revocation was refused').length < 5);
  t.equal(await counted(gateway, 'malformed'), 5);
});
