/** A token that is bound to a key passes with a fresh proof of that key, once, for this request. Rules B9, D1, D9 to D15. */
import t, { type Test } from 'tap';
import type { Response } from '../support/client.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { proofKey, type ProofOptions } from '../support/proofs.ts';
import { startRedis } from '../support/redis.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { sendBefore, startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const holder = proofKey();
const stranger = proofKey('EdDSA');
const upstream = await startUpstream(t);
const send = sendBefore(upstream);
const PUBLIC_URL = 'https://api.example.com';
const NONCE_SECRET = 'a secret of the fleet, 32 characters or more';

const bound = (changes: Record<string, unknown> = {}): string =>
  mint(key, claimsOf({ cnf: { jkt: holder.thumbprint }, ...changes }));

function configuration(
  auth: Record<string, unknown>,
  more: Record<string, unknown> = {},
  route: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    issuers: { login: loginIssuer(key) },
    routes: [
      {
        name: 'orders',
        match: { path_prefix: '/' },
        public_url: PUBLIC_URL,
        upstream: 'u',
        auth,
        ...route,
      },
    ],
    upstreams: { u: { targets: [upstream.url] } },
    ...more,
  };
}

interface Proven extends Partial<ProofOptions> {
  readonly by?: typeof holder;
  readonly scheme?: string;
  /** In place of one made of the other options. */
  readonly proofs?: readonly string[];
  readonly path?: string;
}

/** Sends a token with a proof for the request, or with what the options change. */
function prove(gateway: TestGateway, token: string, options: Proven = {}): Promise<Response> {
  const { by = holder, scheme = 'DPoP', path = '/orders', method = 'GET', ...proof } = options;
  const proofs = options.proofs ?? [by.proof({ method, url: `${PUBLIC_URL}${path}`, token, ...proof })];
  const headers = ['Authorization', `${scheme} ${token}`, ...proofs.flatMap((each) => ['DPoP', each])];
  return send(gateway.url, path, { method, headers });
}

const outcome = ({ status, problem, headers }: Response): unknown[] => [
  status,
  problem.code,
  headers['www-authenticate'],
];

const ALGS = 'algs="ES256 PS256 RS256 EdDSA Ed25519"';
const dpop = (error: string): string => `DPoP realm="test", error="${error}", ${ALGS}`;
const OPTIONAL = { sender_constrained: 'optional' };

t.test('sender_constrained: optional', async (t) => {
  const gateway = await startGateway(t, configuration(OPTIONAL));
  const passes = async (t: Test, token: string, options: Proven, name: string): Promise<void> => {
    t.equal((await prove(gateway, token, options)).status, 200, name);
  };
  const fails = async (t: Test, token: string, options: Proven, name: string): Promise<void> => {
    const expected = [401, 'invalid_dpop_proof', `Bearer realm="test", ${dpop('invalid_dpop_proof')}`];
    t.strictSame(outcome(await prove(gateway, token, options)), expected, name);
  };

  t.test(
    'D12 a bound token passes with its proof, cached or not, and the upstream sees no proof',
    async (t) => {
      const token = bound();
      for (const use of ['first', 'second']) {
        const response = await prove(gateway, token);
        t.equal(response.status, 200, `${use} use`);
        t.match(response.headers, { 'dpop-nonce': undefined });
      }
      const { headers = {} } = upstream.seen.at(-1) ?? {};
      t.match(headers, { 'x-user-id': 'alice', dpop: undefined, authorization: undefined });
      await passes(t, token, { scheme: 'dpop' }, 'the scheme in lower case');
      await passes(t, token, { method: 'POST' }, 'another method');
      await passes(t, token, { path: '/orders?a=1' }, 'with a query, which htu leaves out');
      await passes(
        t,
        token,
        { url: 'HTTPS://API.example.com:443/%6frders?x#y' },
        'D9 another spelling of the URL',
      );
      t.equal(await gateway.metric('sallyport_dpop_proofs_total{result="accepted"}'), 6);
    },
  );

  t.test('a cached token needs a proof of its own for each request: each of these is refused', async (t) => {
    const token = bound();
    await passes(t, token, {}, 'the token is good');
    await fails(t, token, { proofs: [] }, 'D1 no proof');
    const [one, two] = [1, 2].map(() => holder.proof({ url: `${PUBLIC_URL}/orders`, token }));
    await fails(t, token, { proofs: [one ?? '', two ?? ''] }, 'D1 two lines');
    await fails(t, token, { proofs: [`${one}, ${two}`] }, 'D2 two in one line');
    await fails(t, token, { by: stranger }, 'D12 the key of a stranger');
    await fails(t, token, { claims: { htm: 'POST' } }, 'D8 another method');
    await fails(t, token, { claims: { htm: 'get' } }, 'D8 the method in lower case');
    for (const url of [
      'http://api.example.com/orders',
      'https://api.example.com/Orders',
      'https://other.example/orders',
    ])
      await fails(t, token, { url }, `D9 ${url}`);
    await fails(t, token, { token: bound() }, 'D12 ath of another token');
    await fails(t, token, { claims: { iat: Math.floor(Date.now() / 1000) - 90 } }, 'D11 too old');
    await fails(t, token, { claims: { iat: Math.floor(Date.now() / 1000) + 90 } }, 'D11 from the future');
    await fails(t, token, { header: { typ: 'JWT' } }, 'D4 typ');
    await passes(
      t,
      token,
      { proofs: [one ?? ''] },
      'D14 a proof that was refused beside another is not spent',
    );
    t.match(gateway.log.at(-2), {
      auth: { decision: 'deny', reason: 'proof' },
      error: 'invalid_dpop_proof',
    });
  });

  t.test('D14 a proof passes once, and only a valid one is spent', async (t) => {
    const token = bound();
    const proof = holder.proof({ url: `${PUBLIC_URL}/orders`, token });
    await fails(t, token, { proofs: [proof], path: '/other' }, 'for another path: not spent');
    await fails(t, token, { proofs: [proof], method: 'POST' }, 'for another method: not spent');
    t.equal(
      (await prove(gateway, `${token.slice(0, -6)}AAAAAA`, { proofs: [proof] })).status,
      401,
      'a bad token',
    );
    await passes(t, token, { proofs: [proof] }, 'first');
    await fails(t, token, { proofs: [proof] }, 'again');
    const both = holder.proof({ url: `${PUBLIC_URL}/orders`, token });
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async () => (await prove(gateway, token, { proofs: [both] })).status),
    );
    t.equal(statuses.filter((status) => status === 200).length, 1, 'twenty at once');
    t.equal(await gateway.metric('sallyport_dpop_proofs_total{result="replayed"}'), 20);
  });

  t.test('D14 jti belongs to its key: a stranger spends none of ours', async (t) => {
    const theirs = mint(key, claimsOf({ cnf: { jkt: stranger.thumbprint } }));
    const claims = { jti: 'the same' };
    await passes(t, theirs, { by: stranger, claims }, 'theirs');
    await passes(t, bound(), { claims }, 'ours');
  });

  t.test('D13 a token that is bound to a key is refused as Bearer', async (t) => {
    const token = bound();
    for (const scheme of ['Bearer', 'bearer'])
      t.match(outcome(await prove(gateway, token, { scheme })), [
        401,
        'invalid_token',
        `Bearer realm="test", ${dpop('invalid_token')}`,
      ]);
    t.match(gateway.log.at(-1), { auth: { reason: 'binding' } });
  });

  t.test('an unbound token passes as Bearer, and not as DPoP', async (t) => {
    const token = mint(key);
    t.equal((await send(gateway.url, '/orders', { token })).status, 200);
    await t.test('also beside a proof, which nothing looks at', async (t) => {
      await passes(t, token, { scheme: 'Bearer', by: stranger }, 'with a proof');
      await passes(t, token, { scheme: 'Bearer', proofs: ['x', 'y'] }, 'with nonsense');
    });
    t.match(outcome(await prove(gateway, token)), [401, 'invalid_token', /error="invalid_token"/]);
  });

  t.test('cnf that cannot be checked is refused, whatever comes with it', async (t) => {
    const { thumbprint } = holder;
    const confirmations = [
      {},
      null,
      [],
      'text',
      { jkt: [thumbprint] },
      { jkt: 7 },
      { jkt: '' },
      { jkt: `${thumbprint}=` },
      ...['jwk', 'jwe', 'kid', 'jku', 'osc'].map((method) => ({ jkt: thumbprint, [method]: holder.jwk })),
      { 'kc-jkt-type': 'DPoP' },
      { kid: 'x' },
      { 'x5t#S256': 7 },
    ];
    for (const cnf of confirmations) {
      const token = mint(key, claimsOf({ cnf }));
      for (const scheme of ['DPoP', 'Bearer'])
        t.equal((await prove(gateway, token, { scheme })).status, 401, `${scheme} ${JSON.stringify(cnf)}`);
    }
  });

  t.test('D12 a member of cnf that is no confirmation method counts for nothing beside jkt', async (t) => {
    const token = bound({ cnf: { jkt: holder.thumbprint, 'kc-jkt-type': 'DPoP' } });
    await passes(t, token, {}, 'as Keycloak writes it');
    await fails(t, token, { by: stranger }, 'the key of a stranger');
    t.equal((await prove(gateway, token, { scheme: 'Bearer' })).status, 401, 'as a bearer token');
  });

  t.test('M1 a token that is bound to a certificate too needs that as well', async (t) => {
    const token = bound({ cnf: { jkt: holder.thumbprint, 'x5t#S256': stranger.thumbprint } });
    t.match(outcome(await prove(gateway, token)), [401, 'invalid_token']);
  });

  t.test('B9 two credentials, B2 a malformed one, B1 none', async (t) => {
    const token = bound();
    const headers = ['Authorization', `Bearer ${token}`, 'Authorization', `DPoP ${token}`];
    t.equal((await send(gateway.url, '/orders', { headers })).status, 400);
    for (const text of ['DPoP', 'DPoP ', `DPoP ${token} x`, `DPoP ${token}, Bearer ${token}`])
      t.equal(
        (await send(gateway.url, '/orders', { headers: ['Authorization', text] })).status,
        400,
        text.slice(0, 8),
      );
    t.strictSame(outcome(await send(gateway.url, '/orders')), [
      401,
      'missing_token',
      `Bearer realm="test", DPoP realm="test", ${ALGS}`,
    ]);
  });
});

t.test('sender_constrained: required refuses what is bound to nothing', async (t) => {
  const gateway = await startGateway(t, configuration({ sender_constrained: 'required' }));
  t.equal((await prove(gateway, bound())).status, 200);
  t.strictSame(outcome(await send(gateway.url, '/orders', { token: mint(key) })), [
    401,
    'invalid_token',
    dpop('invalid_token'),
  ]);
  t.strictSame(outcome(await send(gateway.url, '/orders')), [
    401,
    'missing_token',
    `DPoP realm="test", ${ALGS}`,
  ]);
});

t.test('D13 without sender_constrained no proof is taken', async (t) => {
  const gateway = await startGateway(t, configuration({}));
  t.strictSame(outcome(await prove(gateway, bound())), [401, 'missing_token', 'Bearer realm="test"']);
  t.strictSame(outcome(await send(gateway.url, '/orders', { token: bound() })), [
    401,
    'invalid_token',
    'Bearer realm="test", error="invalid_token"',
  ]);
});

t.test('D9 which URL a proof must name', async (t) => {
  const token = bound();
  const ask = async (gateway: TestGateway, url: string, headers: readonly string[] = []): Promise<number> => {
    const proof = holder.proof({ url, token });
    const all = ['Authorization', `DPoP ${token}`, 'DPoP', proof, ...headers];
    return (await send(gateway.url, '/orders', { headers: all })).status;
  };
  t.test('of exact hosts: that of the request', async (t) => {
    const match = { path_prefix: '/', hosts: ['a.example', 'b.example'] };
    const more = { trusted_proxies: ['127.0.0.0/8'] };
    const route = { match, public_url: undefined };
    const gateway = await startGateway(t, configuration(OPTIONAL, {}, route));
    const at = (host: string, ...more: string[]): string[] => ['Host', host, ...more];
    t.equal(await ask(gateway, 'http://a.example/orders', at('a.example')), 200);
    t.equal(await ask(gateway, 'http://a.example:8080/orders', at('A.example.:08080')), 200);
    t.equal(await ask(gateway, 'http://a.example/orders', at('b.example')), 401);
    t.equal(
      await ask(gateway, 'https://a.example/orders', at('a.example', 'X-Forwarded-Proto', 'https')),
      401,
    );
    t.equal(
      await ask(gateway, 'http://b.example/orders', at('a.example', 'X-Forwarded-Host', 'b.example')),
      401,
    );
    const behind = await startGateway(t, configuration(OPTIONAL, more, route));
    const told = at('a.example', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'c.example');
    t.equal(
      await ask(behind, 'https://c.example/orders', told),
      200,
      'a trusted proxy tells scheme and host',
    );
    t.equal(await ask(behind, 'http://a.example/orders', told), 401);
    t.equal(await ask(behind, 'http://a.example/x/orders', at('a.example', 'X-Forwarded-Prefix', '/x')), 401);
  });
  t.test('of the listener, with the path that a proxy in front takes away; before any rewrite', async (t) => {
    const listeners = [{ host: '127.0.0.1', port: 0, public_url: 'https://API.example.com:443/shop/' }];
    const route = {
      public_url: undefined,
      match: { path_prefix: '/orders' },
      rewrite: { strip_prefix: '/orders', add_prefix: '/v1' },
    };
    const gateway = await startGateway(t, configuration(OPTIONAL, { listeners }, route));
    t.equal(await ask(gateway, 'https://api.example.com/shop/orders', ['Host', 'evil.example']), 200);
    t.equal(await ask(gateway, 'https://api.example.com/orders'), 401);
    t.equal(await ask(gateway, 'https://api.example.com/shop/v1'), 401);
    t.equal(await ask(gateway, 'https://evil.example/shop/orders', ['Host', 'evil.example']), 401);
  });
});

t.test('D10 D15 nonces', async (t) => {
  const clock = new ManualClock();
  const more = {
    dpop: { nonces: { secret: NONCE_SECRET, rotate: '5m' } },
    revocation: { max_view_age: '2h' },
  };
  const gateways = await Promise.all(
    [1, 2].map(() => startGateway(t, configuration(OPTIONAL, more), { clock })),
  );
  const [gateway, other] = gateways;
  if (!gateway || !other) throw new Error('two gateways');
  const token = bound({
    exp: Math.floor(clock.nowMs() / 1000) + 3_000,
    iat: Math.floor(clock.nowMs() / 1000),
  });
  const iat = (): number => Math.floor(clock.nowMs() / 1000);
  const refused = await prove(gateway, token, { iat: iat() });
  t.strictSame(outcome(refused), [401, 'use_dpop_nonce', `Bearer realm="test", ${dpop('use_dpop_nonce')}`]);
  const nonces = refused.rawHeaders.filter((_, index) =>
    /^dpop-nonce$/i.test(refused.rawHeaders[index - 1] ?? ''),
  );
  t.equal(nonces.length, 1, 'one DPoP-Nonce');
  const [nonce = ''] = nonces;
  for (const each of gateways) {
    const passed = await prove(each, token, { nonce, iat: iat() });
    t.equal(passed.status, 200, 'every gateway of the fleet takes it');
    t.equal(passed.headers['dpop-nonce'], undefined);
  }
  const proof = holder.proof({ url: `${PUBLIC_URL}/orders`, token, iat: iat() });
  t.equal((await prove(gateway, token, { proofs: [proof] })).problem.code, 'use_dpop_nonce');
  clock.advance(5 * 60_000);
  const late = await prove(gateway, token, { nonce, iat: iat() });
  const next = late.headers['dpop-nonce'];
  t.equal(late.status, 200, 'the last one still passes');
  t.ok(typeof next === 'string' && next !== nonce, 'and the next one comes with the response');
  t.equal((await prove(other, token, { nonce: String(next), iat: iat() })).status, 200);
  clock.advance(5 * 60_000);
  t.equal((await prove(gateway, token, { nonce, iat: iat() })).problem.code, 'use_dpop_nonce', 'too old');
  t.equal(
    (await prove(gateway, token, { nonce: 'x', iat: iat() })).problem.code,
    'use_dpop_nonce',
    'made up',
  );
  t.equal(await gateway.metric('sallyport_dpop_proofs_total{result="nonce"}'), 4);
});

t.test('D15 a nonce of the upstream does not pass on a route whose proofs the gateway checks', async (t) => {
  const own = await startUpstream(t, (_, response) => {
    response.writeHead(200, { 'DPoP-Nonce': 'theirs' }).end();
  });
  const more = { upstreams: { u: { targets: [own.url] } } };
  const checking = await startGateway(t, configuration(OPTIONAL, more));
  t.equal((await prove(checking, bound())).headers['dpop-nonce'], undefined);
  const other = await startGateway(t, configuration({}, more));
  t.equal((await send(other.url, '/orders', { token: mint(key) })).headers['dpop-nonce'], 'theirs');
});

t.test('D14 one key cannot fill the memory of used proofs', async (t) => {
  const more = { dpop: { remembered: { per_key: 3 } } };
  const gateway = await startGateway(t, configuration(OPTIONAL, more));
  const token = bound();
  for (let use = 0; use < 3; use++) t.equal((await prove(gateway, token)).status, 200);
  const refused = await prove(gateway, token);
  t.strictSame(
    [refused.status, refused.problem.code, refused.headers['retry-after']],
    [429, 'too_many_proofs', '1'],
  );
  const theirs = mint(key, claimsOf({ cnf: { jkt: stranger.thumbprint } }));
  t.equal((await prove(gateway, theirs, { by: stranger })).status, 200, 'other keys pass');
});

t.test('D14 a full memory refuses, and forgets none', async (t) => {
  const more = { dpop: { remembered: { entries: 2 } } };
  const gateway = await startGateway(t, configuration(OPTIONAL, more));
  const token = bound();
  const first = holder.proof({ url: `${PUBLIC_URL}/orders`, token });
  t.equal((await prove(gateway, token, { proofs: [first] })).status, 200);
  t.equal((await prove(gateway, token)).status, 200);
  const refused = await prove(gateway, token);
  t.strictSame(
    [refused.status, refused.problem.code, refused.headers['retry-after']],
    [503, 'replay_unavailable', '1'],
  );
  t.not((await prove(gateway, token, { proofs: [first] })).status, 200);
});

t.test('D14 over Redis: once across gateways; while it is down as each route says', async (t) => {
  const redis = await startRedis(t);
  const routes = ['deny', 'allow'].map((policy) => ({
    name: policy,
    match: { path_prefix: `/${policy}` },
    public_url: PUBLIC_URL,
    upstream: 'u',
    when_stale: 'allow',
    when_replay_unknown: policy,
    auth: OPTIONAL,
  }));
  const more = { routes, revocation: { store: redis.url, max_view_age: '1h' } };
  const gateways = await Promise.all([1, 2].map(() => startGateway(t, configuration(OPTIONAL, more))));
  const token = bound();
  const proofs = Array.from({ length: 50 }, () => holder.proof({ url: `${PUBLIC_URL}/deny`, token }));
  const statuses = await Promise.all(
    proofs.map((proof) =>
      Promise.all(
        gateways.map(async (each) => (await prove(each, token, { proofs: [proof], path: '/deny' })).status),
      ),
    ),
  );
  t.strictSame(
    statuses.map((pair) => pair.toSorted().join()),
    proofs.map(() => '200,401'),
  );
  const [gateway] = gateways;
  if (!gateway) throw new Error('a gateway');
  await redis.kill();
  const down = await prove(gateway, token, { path: '/deny' });
  t.strictSame([down.status, down.problem.code], [503, 'replay_unavailable']);
  t.equal((await prove(gateway, token, { path: '/allow' })).status, 200);
  t.match(gateway.log.at(-1), { auth: { decision: 'fail_open' } });
  t.equal(await gateway.metric('sallyport_dpop_proofs_total{result="unknown"}'), 1);
  t.equal(await gateway.metric('sallyport_dpop_proofs_total{result="passed_unknown"}'), 1);
});
