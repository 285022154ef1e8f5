/**
 * Whichever claims an issuer uses, upstreams read the same headers, and rules, revocation, log and assertion know the same
 * caller. Rules J2, V12, V13.
 */
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { introspectedBy, startFallibleServer } from '../support/fallible-authorization-server.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const upstream = await startUpstream(t);
const OTHER = 'https://other.example.com';
const NAMES = {
  subject: 'user.id',
  client: ['app', 'azp'],
  scopes: 'permissions',
  session: 'login',
  tenant: 'org.id',
};
const FACTS = {
  user: { id: 'u-1' },
  app: 'shop',
  permissions: ['orders:read', 'a b'],
  login: 's-1',
  org: { id: 'acme' },
};
/** Nothing but what `FACTS` says, beside what every token has. */
const plain = (changes: object = {}): Record<string, unknown> =>
  claimsOf({ iss: OTHER, sub: 'x', client_id: undefined, scope: undefined, ...FACTS, ...changes });

const configuration = (changes: object = {}): Record<string, unknown> => ({
  issuers: {
    login: loginIssuer(key),
    other: { ...loginIssuer(key), issuer: OTHER, token_type: 'any', claim_names: NAMES },
  },
  identity: { headers: { 'X-Session': '$session', 'X-Tenant': ['$tenant', 'tenant'] } },
  routes: [
    { name: 'r', match: {}, upstream: 'u' },
    { name: 's', match: { path: '/s' }, upstream: 'u', auth: { scopes: ['orders:read'] } },
  ],
  upstreams: { u: { targets: [upstream.url] } },
  ...changes,
});

async function statusOf(gateway: TestGateway, token: string, path = '/'): Promise<number> {
  const before = upstream.seen.length;
  const { status } = await send(gateway.url, path, { token });
  if (status !== 200 && upstream.seen.length !== before)
    throw new Error('the upstream saw a refused request');
  return status;
}

const identity = (): unknown[] =>
  ['x-user-id', 'x-client-id', 'x-scopes', 'x-token-issuer', 'x-session', 'x-tenant'].map(
    (name) => upstream.seen.at(-1)?.headers[name],
  );

t.test('headers, scope rules and the log read the claims that the issuer names', async (t) => {
  const gateway = await startGateway(t, configuration());
  t.equal(await statusOf(gateway, mint(key, plain()), '/s'), 200);
  t.strictSame(identity(), ['u-1', 'shop', 'orders:read a%20b', OTHER, 's-1', 'acme']);
  const auth = gateway.log.find(({ msg }) => msg === 'request')?.['auth'] as { client_id?: string };
  t.equal(auth.client_id, 'shop');
  t.equal(
    await statusOf(gateway, mint(key, plain({ permissions: ['orders'], scope: 'orders:read' })), '/s'),
    403,
  );

  const usual = mint(key, claimsOf({ scope: 'a b', sid: 's', tenant: 't', permissions: 'orders:read' }));
  t.equal(await statusOf(gateway, usual), 200);
  t.strictSame(identity(), ['alice', 'web', 'a b', 'https://login.example.com', 's', 't']);
  t.equal(await statusOf(gateway, usual, '/s'), 403, 'claims of another issuer mean nothing here');
});

t.test('J2 a named claim of another type makes the token invalid, an empty one is absent', async (t) => {
  const gateway = await startGateway(t, configuration());
  const wrong = [
    { user: { id: ['u'] } },
    { user: { id: 1.5 } },
    { app: 7 },
    { app: 'shop', azp: {} },
    { permissions: { admin: true } },
    { permissions: ['a', 1] },
    { login: true },
    { org: { id: 7 } },
  ];
  for (const changes of wrong)
    t.equal(await statusOf(gateway, mint(key, plain(changes))), 401, JSON.stringify(changes));
  const empty = { user: { id: '' }, app: null, azp: '', permissions: '', login: '', org: { id: null } };
  t.equal(await statusOf(gateway, mint(key, plain(empty))), 200);
  t.strictSame(identity(), [undefined, undefined, undefined, OTHER, undefined, undefined]);
  t.equal(await statusOf(gateway, mint(key, plain({ user: 'u-1' }))), 200, 'no object: no such claim');
  t.equal(identity()[0], undefined, 'the subject never falls back to another claim');
});

t.test('V12 each claim of a kind ends the token: its own, and sub and sid of logouts', async (t) => {
  const named: [by: object, value: object][] = [
    [{ subject: 'u-1' }, {}],
    [{ subject: 'x' }, {}],
    [{ client: 'shop' }, {}],
    [{ client: 'second' }, { azp: 'second' }],
    [{ session: 's-1' }, {}],
    [{ session: 'sso' }, { sid: 'sso' }],
  ];
  for (const [by, more] of named) {
    const gateway = await startGateway(t, configuration());
    const token = mint(key, plain(more));
    const other = mint(key, plain({ sub: 'y', user: { id: 'u-2' }, app: 'till', login: 's-2' }));
    t.strictSame([await statusOf(gateway, token), await statusOf(gateway, other)], [200, 200]);
    const { status } = await gateway.admin('POST', '/v1/revocations', { issuer: OTHER, ...by });
    t.equal(status, 201);
    t.strictSame(
      [await statusOf(gateway, token), await statusOf(gateway, other)],
      [401, 200],
      JSON.stringify(by),
    );
  }
});

t.test('V14 a subject stays out until a new login, wherever its tokens keep the time of it', async (t) => {
  const names = { ...NAMES, login_time: 'ext.auth_time' };
  const other = { ...loginIssuer(key), issuer: OTHER, token_type: 'any', claim_names: names };
  const gateway = await startGateway(t, { ...configuration(), issuers: { other } });
  const cutoff = Math.floor(Date.now() / 1000) - 60;
  const body = { issuer: 'other', subject: 'u-1', issued_before: cutoff };
  t.equal((await gateway.admin('POST', '/v1/revocations', body)).status, 201);
  const logins: [claims: object, expected: number, name: string][] = [
    [{ ext: { auth_time: cutoff } }, 401, 'issued again for the same login'],
    [{ ext: { auth_time: cutoff + 1 } }, 200, 'of a later login'],
    [{ ext: { auth_time: cutoff + 1 }, auth_time: cutoff }, 401, 'auth_time counts as well'],
    [{ auth_time: cutoff }, 401, 'auth_time alone'],
    [{ ext: { auth_time: String(cutoff) } }, 200, 'no number: iat counts'],
    [{}, 200, 'none: iat counts'],
  ];
  for (const [claims, expected, name] of logins)
    t.equal(await statusOf(gateway, mint(key, plain(claims))), expected, name);
});

t.test('V13 what no token of the issuer names cannot be revoked, and is not stored', async (t) => {
  const gateway = await startGateway(t, {
    ...configuration(),
    issuers: {
      login: loginIssuer(key),
      other: {
        ...loginIssuer(key),
        issuer: OTHER,
        token_type: 'any',
        claim_names: { session: null, client: null },
      },
    },
  });
  for (const by of [{ session: 's' }, { client: 'c' }]) {
    for (const issuer of [OTHER, 'other']) {
      for (const dryRun of [true, false]) {
        const body = { issuer, ...by, dry_run: dryRun };
        t.equal((await gateway.admin('POST', '/v1/revocations', body)).status, 400, JSON.stringify(body));
      }
    }
    t.equal((await gateway.admin('POST', '/v1/revocations', { issuer: 'login', ...by })).status, 201);
  }
  t.equal((await gateway.admin('POST', '/v1/revocations', { issuer: OTHER, subject: 'x' })).status, 201);
  const { revocations } = (await (await gateway.admin('GET', '/v1/revocations')).json()) as {
    revocations: unknown[];
  };
  t.equal(revocations.length, 3);
});

t.test('an introspection response is read by the names of its issuer', async (t) => {
  const authority = await startFallibleServer(t);
  authority.tokens.set('opaque', { active: true, ...FACTS, app: 7, sub: 'x' });
  const gateway = await startGateway(t, {
    ...configuration(),
    issuers: { other: introspectedBy(authority, {}, { claim_names: NAMES }) },
    routes: [{ name: 'r', match: {}, upstream: 'u', auth: { issuers: ['other'] } }],
  });
  t.equal(await statusOf(gateway, 'opaque'), 200);
  t.strictSame(identity(), ['u-1', '7', 'orders:read a%20b', 'other', 's-1', 'acme']);
  t.equal((await gateway.admin('POST', '/v1/revocations', { issuer: 'other', subject: 'u-1' })).status, 201);
  t.equal(await statusOf(gateway, 'opaque'), 401);
});

t.test('the assertion has sub, client_id and scope, whatever the issuer calls them', async (t) => {
  const folder = temporaryFolder(t);
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(folder, 'identity.jwk'), JSON.stringify(privateKey.export({ format: 'jwk' })));
  const gateway = await startGateway(t, {
    ...configuration(),
    identity: {
      assertion: {
        key_file: join(folder, 'identity.jwk'),
        claims: ['sub', 'client_id', 'scope', 'permissions'],
      },
    },
  });
  t.equal(await statusOf(gateway, mint(key, plain())), 200);
  const [, claims = ''] = String(upstream.seen.at(-1)?.headers['x-identity-assertion']).split('.');
  const { sub, client_id, scope, permissions } = JSON.parse(
    Buffer.from(claims, 'base64url').toString(),
  ) as Record<string, unknown>;
  t.strictSame([sub, client_id, scope], ['u-1', 'shop', 'orders:read a%20b']);
  t.strictSame(permissions, FACTS.permissions, 'any other claim as it is');
});

t.test('check says what is wrong with claim_names, and what is risky', async (t) => {
  const file = join(temporaryFolder(t), 'sallyport.json');
  const check = async (issuer: object, headers: object = {}): Promise<string> => {
    const document = {
      ...configuration(),
      issuers: { login: { ...loginIssuer(key), ...issuer } },
      identity: { headers },
    };
    writeFileSync(file, JSON.stringify(document));
    const { out, err } = await sallyport(['check', '-c', file]);
    return out + err;
  };
  t.match(
    await check({ claim_names: { subject: ['a', 'b'] } }),
    /claim_names\.subject: takes one .*revocation/,
  );
  t.match(await check({ claim_names: { tenant: ['a', 'b'] } }), /claim_names\.tenant: takes one/);
  t.match(await check({ claim_names: { subject: 7 } }), /claim_names\.subject: must be a text/);
  t.match(await check({ claim_names: { subject: 'a..b' } }), /claim_names\.subject: is no claim path/);
  t.match(await check({ claim_names: { client: [] } }), /claim_names\.client: is empty/);
  t.match(
    await check({ claim_names: { client: 7 } }),
    /claim_names\.client: must be a text or a list, and is a number/,
  );
  t.match(
    await check({ claim_names: { login_time: null } }),
    /login_time: must be a text or a list, and is empty/,
  );
  t.match(await check({ claim_names: { login_time: [] } }), /claim_names\.login_time: is empty/);
  t.match(await check({ claim_names: { user: 'sub' } }), /claim_names.*user/);
  const logout = { host: 'api.example.com', path: '/logout', client_ids: ['web'] };
  t.match(
    await check({ claim_names: { session: null }, backchannel_logout: logout }),
    /claim_names\.session: is null/,
  );
  t.match(
    await check({}, { 'X-A': '$email' }),
    /identity\.headers\.X-A: is no normalized claim.* write email without/,
  );
  t.match(
    await check({}, { 'X-A': ['sub', '$keys('] }),
    /identity\.headers\.X-A\[1\]: is no normalized claim/,
  );
  t.match(
    await check({ claim_names: { subject: 'email' } }),
    /warning: issuers\.login: claim_names\.subject: email/,
  );
  t.notMatch(await check({ claim_names: { subject: 'oid' } }), /claim_names/);
});

t.test('V12 a JWT that another route introspects is ended by the names of its own issuer, too', async (t) => {
  const server = await startFallibleServer(t);
  server.otherwise = { active: true };
  const template = 'https://idp.example.com/{tenant}/v2.0';
  const ofTenant = {
    iss: 'https://idp.example.com/t1/v2.0',
    tid: 't1',
    oid: 'o-1',
    sess: 's-1',
    app: 'shop',
  };
  const names = { subject: 'oid', client: 'app', session: 'sess', tenant: 'tid' };
  const many = {
    ...loginIssuer(key),
    issuer: template,
    tenants: ['t1'],
    token_type: 'any',
    claim_names: names,
  };
  const { issuer: _, ...keys } = loginIssuer(key);
  const cases: [issuer: object, claims: Record<string, unknown>, by: object][] = [
    [many, ofTenant, { issuer: 'home', subject: 'alice' }],
    [many, ofTenant, { issuer: template, subject: 'o-1' }],
    [many, ofTenant, { issuer: ofTenant.iss, subject: 'o-1' }],
    [many, ofTenant, { issuer: ofTenant.iss, session: 's-1' }],
    [many, ofTenant, { issuer: 'home', client: 'shop' }],
    [{ ...loginIssuer(key), claim_names: names }, { oid: 'o-1' }, { issuer: 'home', subject: 'o-1' }],
    [{ ...keys, no_iss: true }, { iss: undefined }, { issuer: 'home', subject: 'alice' }],
  ];
  for (const [issuer, claims, by] of cases) {
    const gateway = await startGateway(t, {
      ...configuration(),
      issuers: { home: issuer, partner: introspectedBy(server, { jwt: true }) },
      routes: [
        { name: 'own', match: { path: '/own' }, upstream: 'u', auth: { issuers: ['home'] } },
        { name: 'asked', match: { path: '/asked' }, upstream: 'u', auth: { issuers: ['partner'] } },
      ],
    });
    const token = mint(key, claimsOf(claims));
    const both = async (): Promise<number[]> => [
      await statusOf(gateway, token, '/own'),
      await statusOf(gateway, token, '/asked'),
    ];
    t.strictSame(await both(), [200, 200]);
    t.equal((await gateway.admin('POST', '/v1/revocations', by)).status, 201);
    t.strictSame(await both(), [401, 401], JSON.stringify(by));
  }
});

t.test('V13 an issuer of opaque tokens does not make a revocation possible that ends nothing', async (t) => {
  const server = await startFallibleServer(t);
  const gateway = await startGateway(t, {
    ...configuration(),
    issuers: {
      login: { ...loginIssuer(key), claim_names: { session: null } },
      partner: introspectedBy(server),
    },
  });
  const bySession = (issuer: string): Promise<Response> =>
    gateway.admin('POST', '/v1/revocations', { issuer, session: 's' });
  t.equal((await bySession('login')).status, 400);
  t.equal((await bySession('partner')).status, 201, 'its own tokens may name one');
});

t.test('no server can call its tokens those of an issuer whose tokens have no iss', async (t) => {
  const server = await startFallibleServer(t);
  const { issuer: _, ...keys } = loginIssuer(key);
  const gateway = await startGateway(t, {
    ...configuration(),
    issuers: {
      home: { ...keys, no_iss: true },
      second: introspectedBy(server, {}, { token_prefix: 'second_' }),
      partner: introspectedBy(server),
    },
    routes: [{ name: 'r', match: {}, upstream: 'u', auth: { issuers: ['partner'] } }],
  });
  for (const iss of ['home', 'second']) {
    server.tokens.set(`of-${iss}`, { active: true, sub: 'admin', iss });
    t.equal(await statusOf(gateway, `of-${iss}`), 401, iss);
  }
  server.tokens.set('own', { active: true, sub: 'admin' });
  t.equal(await statusOf(gateway, 'own'), 200);
  t.equal(identity()[3], 'partner');
});

t.test('no issuer has the name of another one, or a star, as its iss', async (t) => {
  const load = (issuers: object): Promise<TestGateway> =>
    startGateway(t, { ...configuration(), issuers: { login: loginIssuer(key), ...issuers } });
  for (const issuer of ['login', '*']) {
    const issuers = { other: { ...loginIssuer(createKey('EdDSA')), issuer } };
    await t.rejects(load(issuers), /issuers\.other\.issuer: /, issuer);
  }
  await load({ other: { ...loginIssuer(createKey('EdDSA')), issuer: 'other' } });
});
