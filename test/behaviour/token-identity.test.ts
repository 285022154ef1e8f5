/** A token is one token, whichever route looks at it and whichever name it is revoked by. Rules J0, V11, V12, V13. */
import { randomUUID } from 'node:crypto';
import t, { type Test } from 'tap';
import {
  introspectedBy,
  json,
  startFallibleServer,
  type FallibleServer,
} from '../support/fallible-authorization-server.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { send } from '../support/client.ts';
import { advance, loginIssuer, startGateway, until, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, encode, ISSUER, mint, nowSeconds, signText } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const key = createKey('ES256');
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

async function start(
  t: Test,
  issuers: Record<string, unknown>,
): Promise<{ gateway: TestGateway; clock: ManualClock }> {
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    {
      issuers,
      revocation: { claims: ['tenant'] },
      routes: Object.keys(issuers).map((name) => ({
        name,
        match: { path_prefix: `/${name}` },
        upstream: 'u',
        auth: { issuers: [name] },
      })),
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
  return { gateway, clock };
}

const status = async (gateway: TestGateway, route: string, token: string): Promise<number> =>
  (await send(gateway.url, `/${route}`, { token })).status;

async function revoke(t: Test, gateway: TestGateway, body: Record<string, unknown>): Promise<void> {
  // The iss of a response need not be in the configuration.
  const asked = 'token' in body ? body : { ...body, allow_unknown_issuer: true };
  t.match((await gateway.admin('POST', '/v1/revocations', asked)).status, /^20[01]$/, JSON.stringify(body));
}

async function refusedOn(t: Test, gateway: TestGateway, routes: string[], token: string): Promise<void> {
  const before = upstream.seen.length;
  for (const route of routes) t.equal(await status(gateway, route, token), 401, route);
  t.equal(upstream.seen.length, before, 'the upstream saw nothing');
}

t.test(
  'V12 a JWT that one route verifies and another introspects ends on both, by each of its names',
  async (t) => {
    const authority = await startFallibleServer(t);
    // RFC 7662 makes every member but "active" optional.
    authority.otherwise = { active: true };
    const { gateway } = await start(t, {
      login: loginIssuer(key),
      partner: introspectedBy(authority, { jwt: true }),
    });
    const claims = () =>
      claimsOf({ sub: randomUUID(), sid: randomUUID(), client_id: randomUUID(), tenant: randomUUID() });
    const ways: Record<string, (claims: Record<string, unknown>, token: string) => Record<string, unknown>> =
      {
        token: (_, token) => ({ token }),
        token_id: ({ jti }) => ({ issuer: ISSUER, token_id: jti }),
        subject: ({ sub }) => ({ issuer: 'login', subject: sub }),
        session: ({ sid }) => ({ issuer: ISSUER, session: sid }),
        client: ({ client_id }) => ({ issuer: ISSUER, client: client_id }),
        claim: ({ tenant }) => ({ issuer: ISSUER, claim: { tenant } }),
      };
    for (const [name, way] of Object.entries(ways)) {
      await t.test(name, async (t) => {
        const own = claims();
        const token = mint(key, own);
        for (const route of ['login', 'partner']) t.equal(await status(gateway, route, token), 200, route);
        await revoke(t, gateway, way(own, token));
        await refusedOn(t, gateway, ['login', 'partner'], token);
        const another = mint(key, claims());
        for (const route of ['login', 'partner']) t.equal(await status(gateway, route, another), 200, route);
      });
    }
  },
);

t.test(
  'V12 what the response says counts as well, under its iss, the configured name and the iss of the JWT',
  async (t) => {
    const authority = await startFallibleServer(t);
    const { gateway } = await start(t, {
      plain: introspectedBy(authority),
      partner: introspectedBy(authority, { jwt: true }),
    });
    const own = 'https://partner.example';
    const iss = 'https://as.example';
    for (const [issuer, response] of [
      ['partner', {}],
      [own, {}],
      ['partner', { iss }],
      [iss, { iss }],
      [own, { iss }],
    ] as const) {
      for (const [name, member] of [
        ['token_id', 'jti'],
        ['subject', 'sub'],
        ['session', 'sid'],
        ['client', 'client_id'],
      ] as const) {
        const value = randomUUID();
        const token = mint(key, claimsOf({ iss: own }));
        authority.tokens.set(token, { active: true, ...response, [member]: value });
        t.equal(await status(gateway, 'partner', token), 200);
        await revoke(t, gateway, { issuer, [name]: value });
        await refusedOn(t, gateway, ['partner'], token);
      }
    }
    const subject = randomUUID();
    authority.tokens.set('opaque', { active: true, iss, sub: subject });
    t.equal(await status(gateway, 'plain', 'opaque'), 200);
    await revoke(t, gateway, { issuer: 'plain', subject });
    await refusedOn(t, gateway, ['plain'], 'opaque');
  },
);

t.test(
  'V11 V12 an introspected JWT ends with its own exp; its own iat tells a new login from an old one',
  async (t) => {
    const authority = await startFallibleServer(t);
    authority.otherwise = { active: true, sub: 'olga' };
    const { gateway, clock } = await start(t, {
      login: { ...loginIssuer(key), clock_skew: '0s' },
      partner: introspectedBy(authority, { jwt: true }),
    });
    const iat = nowSeconds();
    const old = mint(key, claimsOf({ sub: 'alice', iat: iat - 100, exp: iat + 60 }));
    t.equal(await status(gateway, 'partner', old), 200);
    await revoke(t, gateway, { issuer: ISSUER, subject: 'alice', issued_before: iat - 50 });
    await refusedOn(t, gateway, ['login', 'partner'], old);
    const fresh = mint(key, claimsOf({ sub: 'alice', iat: iat - 10, exp: iat + 60 }));
    for (const route of ['login', 'partner']) t.equal(await status(gateway, route, fresh), 200, route);
    await revoke(t, gateway, { token: fresh });
    await refusedOn(t, gateway, ['login', 'partner'], fresh);
    // Between the skew of the one issuer and that of the other.
    await advance(gateway, clock, 75_000);
    await refusedOn(t, gateway, ['login', 'partner'], fresh);
    const late = mint(key, claimsOf({ iat: iat - 10, exp: iat }));
    await refusedOn(t, gateway, ['login', 'partner'], late);
  },
);

for (const [name, end] of Object.entries({
  'POST /v1/revocations': (gateway: TestGateway, token: string) =>
    gateway.admin('POST', '/v1/revocations', { token }),
  'POST /v1/revoke (RFC 7009)': (gateway: TestGateway, token: string) =>
    gateway.admin('POST', '/v1/revoke', new URLSearchParams({ token }).toString(), FORM),
})) {
  t.test(`V13 ${name} ends an opaque token at every opaque issuer, and asks none of them`, async (t) => {
    const [a, b] = [await startFallibleServer(t), await startFallibleServer(t)];
    a.otherwise = b.otherwise = { active: true, sub: 'olga', jti: 'one', iss: 'https://as.example' };
    const { gateway } = await start(t, {
      login: loginIssuer(key),
      a: introspectedBy(a),
      b: introspectedBy(b),
      c: introspectedBy(b, {}, { token_prefix: 'c_' }),
    });
    const token = 'c_opaque';
    for (const route of ['a', 'b', 'c']) t.equal(await status(gateway, route, token), 200);
    const asked = a.asked.length + b.asked.length;
    t.match((await end(gateway, token)).status, /^20[01]$/);
    t.equal(a.asked.length + b.asked.length, asked);
    await refusedOn(t, gateway, ['a', 'b', 'c'], token);
    t.equal(await status(gateway, 'a', 'c_another'), 200);
  });

  t.test(
    `V13 ${name} ends an opaque token that its server calls inactive, or says nothing about`,
    async (t) => {
      const authority = await startFallibleServer(t);
      const { gateway, clock } = await start(t, {
        only: introspectedBy(authority, { negative_cache: '0s', timeout: '2s' }),
      });
      for (const [token, behaviour] of [
        ['inactive', { active: false }],
        ['broken', 500],
        ['hangs', (): void => undefined],
      ] as const) {
        authority.tokens.set(token, behaviour);
        t.match((await end(gateway, token)).status, /^20[01]$/);
        authority.tokens.set(token, { active: true });
        await advance(gateway, clock, 1_100);
        await refusedOn(t, gateway, ['only'], token);
      }
    },
  );

  t.test(`V13 ${name} ends a JWT that is not accepted yet`, async (t) => {
    const authority = await startFallibleServer(t);
    authority.otherwise = { active: true };
    const { gateway, clock } = await start(t, {
      login: { ...loginIssuer(key), token_type: 'any', max_lifetime: '10m' },
      partner: introspectedBy(authority, { jwt: true }),
    });
    const iat = nowSeconds();
    const early = mint(key, claimsOf({ iat: iat + 60, exp: iat + 600 }));
    const long = mint(key, claimsOf({ iat: undefined, exp: iat + 660 }));
    for (const token of [early, long]) {
      t.equal(await status(gateway, 'login', token), 401);
      t.match((await end(gateway, token)).status, /^20[01]$/);
    }
    const other = mint(key, claimsOf({ iat: iat + 60, exp: iat + 600 }));
    await advance(gateway, clock, 90_000);
    t.equal(await status(gateway, 'login', other), 200);
    for (const token of [early, long]) await refusedOn(t, gateway, ['login', 'partner'], token);
  });
}

t.test('V13 what can never pass is an error of the API, and no entry', async (t) => {
  const { gateway } = await start(t, { login: loginIssuer(key) });
  const forged = mint(createKey('ES256', key.kid), claimsOf({ jti: 'victim' }));
  const good = mint(key, claimsOf({ jti: 'victim' }));
  for (const token of [
    'opaque',
    forged,
    `${good}=`,
    `${good}.`,
    mint(key, claimsOf(), { typ: 'logout+jwt' }),
  ]) {
    t.equal((await gateway.admin('POST', '/v1/revocations', { token })).status, 400);
    t.equal(
      (await gateway.admin('POST', '/v1/revoke', `token=${encodeURIComponent(token)}`, FORM)).status,
      200,
    );
  }
  t.equal(gateway.instance.view.size, 0);
  t.equal(await status(gateway, 'login', good), 200);
});

t.test('V13 I10 a text that no request can carry as its token is an error, and no entry', async (t) => {
  const authority = await startFallibleServer(t);
  authority.otherwise = { active: true };
  const { gateway } = await start(t, { partner: introspectedBy(authority) });
  for (const token of [
    'opq-1\n',
    ' opq-1',
    'Bearer opq-1',
    'bearer  opq-1',
    '"opq-1"',
    'opq-1\nopq-2',
    'opq=1',
    'é',
  ]) {
    for (const extra of [{}, { dry_run: true }]) {
      const response = await gateway.admin('POST', '/v1/revocations', { token, ...extra });
      t.equal(response.status, 400, JSON.stringify(token));
      t.match(await response.json(), { code: 'invalid_request' });
    }
    const form = await gateway.admin('POST', '/v1/revoke', new URLSearchParams({ token }).toString(), FORM);
    t.equal(form.status, 400, JSON.stringify(token));
    t.match(await form.json(), { error: 'invalid_request' });
  }
  t.equal(gateway.instance.view.size, 0);
  t.equal(authority.asked.length, 0, 'its server was not asked');
  t.equal((await gateway.admin('POST', '/v1/revoke', 'token=unknown', FORM)).status, 200);
});

t.test(
  'D13 a JWT that is bound by its own cnf passes on no route, whatever its server leaves out',
  async (t) => {
    const authority = await startFallibleServer(t);
    authority.otherwise = { active: true, sub: 'alice' };
    const { gateway } = await start(t, { partner: introspectedBy(authority, { jwt: true }) });
    const before = upstream.seen.length;
    for (const cnf of [{ jkt: 'x' }, { 'x5t#S256': 'x' }, {}, null]) {
      const response = await send(gateway.url, '/partner', { token: mint(key, claimsOf({ cnf })) });
      t.equal(response.status, 401, JSON.stringify(cnf));
    }
    t.equal(
      await gateway.metric(
        'sallyport_auth_decisions_total{route="partner",issuer="partner",decision="deny",reason="binding"}',
      ),
      4,
    );
    t.equal(upstream.seen.length, before, 'the upstream saw nothing');
    t.equal(await status(gateway, 'partner', mint(key)), 200);
  },
);

t.test('V13 the issuer of a token is its iss or a configured name, and any other is an error', async (t) => {
  const authority = await startFallibleServer(t);
  authority.otherwise = { active: true };
  const { gateway } = await start(t, {
    login: loginIssuer(key),
    named: {
      ...introspectedBy(authority, { jwt: true }),
      issuer: 'https://as.example',
      token_prefix: 'opq-',
    },
    free: { ...introspectedBy(authority), token_prefix: 'free-' },
  });
  const post = (token: string, issuer: string): Promise<Response> =>
    gateway.admin('POST', '/v1/revocations', { token, issuer });
  const jwt = (): string => mint(key, claimsOf({ jti: randomUUID() }));
  for (const [token, issuer] of [
    [jwt(), 'https://other.example'],
    [jwt(), 'unknown'],
    [jwt(), 'named'],
    [jwt(), 'free'],
    ['opq-1', 'unknown'],
    ['opq-1', ISSUER],
    ['opq-1', 'login'],
    ['opq-1', 'free'],
    ['free-1', 'https://as.example'],
  ] as const) {
    const response = await post(token, issuer);
    t.equal(response.status, 400, `${token} of ${issuer}`);
    t.match(await response.json(), { code: 'invalid_request' });
  }
  t.equal(gateway.instance.view.size, 0);
  for (const [token, issuer, route] of [
    [jwt(), ISSUER, 'login'],
    [jwt(), 'login', 'login'],
    ['opq-1', 'https://as.example', 'named'],
    ['opq-2', 'named', 'named'],
    ['free-1', 'free', 'free'],
  ] as const) {
    t.equal(await status(gateway, route, token), 200, 'before');
    t.equal((await post(token, issuer)).status, 201, `${token} of ${issuer}`);
    await refusedOn(t, gateway, [route], token);
  }
});

t.test('V12 a forged JWT cannot end the token of another by its jti or its subject', async (t) => {
  const authority = await startFallibleServer(t);
  const { gateway } = await start(t, {
    login: loginIssuer(key),
    partner: introspectedBy(authority, { jwt: true }),
  });
  const good = mint(key);
  const { jti } = JSON.parse(Buffer.from(good.split('.')[1] ?? '', 'base64url').toString()) as {
    jti: string;
  };
  await revoke(t, gateway, { token: mint(createKey('ES256', key.kid), claimsOf({ jti, sub: 'mallory' })) });
  t.equal(await status(gateway, 'login', good), 200);
});

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Other texts that lenient decoders take for the same token. */
function spelling(random: SeededRandom, token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.');
  // The last character has bits that stand for nothing where the bytes do not fill it.
  const bytesOf = (segment: string): string => Buffer.from(segment, 'base64url').toString('latin1');
  const lastChanged = (segment: string): string => {
    const others = [...ALPHABET].map((last) => segment.slice(0, -1) + last);
    return random.of(others.filter((other) => bytesOf(other) === bytesOf(segment)));
  };
  switch (random.below(12)) {
    case 0:
      return token;
    case 1:
      return `${token}${'='.repeat(1 + random.below(3))}`;
    case 2:
      return `${token}${'.'.repeat(1 + random.below(3))}`;
    case 3:
      return `${'.'.repeat(1 + random.below(2))}${token}`;
    case 4:
      return `${header}..${payload}.${signature}`;
    case 5:
      return `${lastChanged(header)}.${payload}.${signature}`;
    case 6:
      return `${header}.${lastChanged(payload)}.${signature}`;
    case 7:
      return `${header}.${payload}.${lastChanged(signature)}`;
    case 8:
      return token.replaceAll('-', '+').replaceAll('_', '/');
    case 9:
      return `${header}~.${payload}.${signature}`;
    case 10:
      // Another signature over the same content.
      return `${header}.${payload}.${signText(`${header}.${payload}`, key)}`;
    default:
      return `${header}.${payload}.${signature}.${random.of(['x', signature, header])}`;
  }
}

/** Says active of whatever it can read an identity from, like a server with a lenient decoder. */
function lenient(
  authority: FallibleServer,
  known: ReadonlySet<string>,
  members: () => Record<string, unknown>,
): void {
  authority.otherwise = (response) => {
    const token = (authority.asked.at(-1) ?? '').replaceAll('+', '-').replaceAll('/', '_');
    const [, payload = ''] = token.split('.').filter((part) => part !== '');
    const id = /"id":"([^"]+)"/.exec(Buffer.from(payload, 'base64url').toString('latin1'))?.[1] ?? '';
    json(response, 200, known.has(id) ? { active: true, ...members() } : { active: false });
  };
}

/** More are for runs by hand. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 12);
const TRIES = 30;
t.test(`J0 V12 in ${RUNS} runs no spelling of a revoked token passes on any route`, async (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
  t.comment(`SEED=${seed}`);
  const random = new SeededRandom(seed);
  const known = new Set<string>();
  const [a, b] = [await startFallibleServer(t), await startFallibleServer(t)];
  lenient(a, known, () => random.of([{}, { sub: 'olga' }, { iss: 'https://as.example', client_id: 'app' }]));
  lenient(b, known, () => ({ exp: nowSeconds() + 300, jti: randomUUID() }));
  const limits = {
    per_client: { in_flight: 0, per_second: 0 },
    cache: '0s',
    negative_cache: '0s',
    timeout: '60s',
  };
  const { gateway } = await start(t, {
    login: { ...loginIssuer(key), token_type: 'any' },
    a: introspectedBy(a, { jwt: true, ...limits }),
    b: introspectedBy(b, { jwt: true, ...limits }),
    plain: introspectedBy(b, limits),
  });
  const routes = ['login', 'a', 'b', 'plain'];
  for (let run = 0; run < RUNS; run++) {
    const id = randomUUID();
    known.add(id);
    const optional = (name: string): Record<string, unknown> =>
      random.below(2) === 0 ? { [name]: undefined } : { [name]: `${name}-${id}` };
    const claims = claimsOf({
      id,
      sub: `sub-${id}`,
      ...optional('jti'),
      ...optional('sid'),
      ...optional('client_id'),
    });
    const token = mint(key, claims);
    for (const route of ['login', 'a', 'b'])
      t.equal(await status(gateway, route, token), 200, `SEED=${seed}`);
    const ways: [string, unknown][] = [
      ['token', token],
      ['form', token],
      ['subject', claims['sub']],
      ...(claims['jti'] === undefined ? [] : ([['token_id', claims['jti']]] as [string, unknown][])),
      ...(claims['sid'] === undefined ? [] : ([['session', claims['sid']]] as [string, unknown][])),
      ...(claims['client_id'] === undefined
        ? []
        : ([['client', claims['client_id']]] as [string, unknown][])),
    ];
    const [way, value] = random.of(ways);
    if (way === 'form')
      await gateway.admin('POST', '/v1/revoke', new URLSearchParams({ token }).toString(), FORM);
    else await revoke(t, gateway, way === 'token' ? { token } : { issuer: ISSUER, [way]: value });
    const before = upstream.seen.length;
    for (let index = 0; index < TRIES; index++) {
      const [text, route] = [spelling(random, token), random.of(routes)];
      const got = await status(gateway, route, text);
      if (got !== 401 && got !== 400) t.fail(`SEED=${seed}: ${got} on ${route}, revoked by ${way}: ${text}`);
    }
    t.equal(upstream.seen.length, before, 'the upstream saw nothing');
  }
  t.ok(encode('') === '' && (await gateway.metric('sallyport_revocation_entries')) > 0);
});

t.test('J0 a JWE is introspected in its one spelling', async (t) => {
  const authority = await startFallibleServer(t);
  authority.otherwise = { active: true };
  const { gateway } = await start(t, { only: introspectedBy(authority) });
  const jwe = `${encode({ alg: 'dir', enc: 'A256GCM' })}..${encode('iv')}.${encode('text')}.${encode('tag')}`;
  t.equal(await status(gateway, 'only', jwe), 200);
  t.equal(await status(gateway, 'only', 'v2.local.paseto-token'), 200);
  const asked = authority.asked.length;
  for (const token of [`${jwe}=`, `${jwe}.`, `.${jwe}`, `${encode({ alg: 'none' })}.${encode({})}`])
    await refusedOn(t, gateway, ['only'], token);
  t.equal(authority.asked.length, asked);
  await until(() => authority.open() === 0);
});
