/** A dry run of a request with a bound token: what it must show, and what is wrong with what it shows. Rules D9 to D14, M1. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import type { ImaginedRequest } from '../../src/explain/dry-run.ts';
import { explain } from '../../src/explain/explain.ts';
import type { Explanation } from '../../src/explain/explanation.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { proofKey, tokenHash } from '../support/proofs.ts';
import { claimsOf, createKey, ISSUER, AUDIENCE, mint, nowSeconds } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('ES256');
const client = proofKey('ES256');
const other = proofKey('EdDSA');
const HOST = 'api.example.com';
const URL_OF_ORDERS = `https://${HOST}/orders/7`;
const CERTIFICATE = tokenHash('the certificate');
const bound = mint(key, claimsOf({ cnf: { jkt: client.thumbprint } }));
const document = {
  listeners: [{ port: 8443, public_url: `https://${HOST}` }],
  issuers: { login: loginIssuer(key) },
  routes: [
    {
      name: 'orders',
      match: { path_prefix: '/orders' },
      upstream: 'u',
      auth: { sender_constrained: 'optional' },
    },
    { name: 'plain', match: { path_prefix: '/plain' }, upstream: 'u' },
  ],
  upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
};

interface Asked extends Partial<ImaginedRequest> {
  readonly document?: Record<string, unknown>;
  readonly nowMs?: number;
}

function ask({ document: changes = {}, nowMs, ...request }: Asked): Promise<Explanation> {
  const configuration = parseConfiguration(JSON.stringify({ ...document, ...changes }), 'f', '/tmp', {});
  return explain(
    { configuration, folder: '/tmp', file: 'f' },
    {
      ...{ method: 'GET', scheme: 'https', target: '/orders/7?x=1', headers: ['Host', HOST] },
      ...{ token: bound, peer: '127.0.0.1', ...request },
    },
    { online: false, nowMs },
  );
}

const detailOf = ({ stages }: Explanation, stage = 'check_possession'): string =>
  stages.find((each) => each.stage === stage)?.detail ?? '';
const proof = (changes: Partial<Parameters<typeof client.proof>[0]> = {}): string =>
  client.proof({ url: URL_OF_ORDERS, token: bound, ...changes });

t.test(
  'D14 a good proof passes, as often as it is explained, and explain says what it did not ask',
  async (t) => {
    const dpop = proof();
    for (const use of ['first', 'second']) {
      const passed = await ask({ dpop });
      t.match(passed, { decision: 'allow', reason: 'ok' }, use);
      t.equal(
        detailOf(passed),
        `its holder has proved to hold the key ${client.thumbprint}; whether the proof was used before is not asked`,
      );
      t.notMatch(JSON.stringify(passed.upstream), dpop);
    }
  },
);

const ath = tokenHash(bound);
const faults: [name: string, dpop: string, said: (string | RegExp)[], status?: number][] = [
  [
    'D8 another method',
    proof({ method: 'POST' }),
    [
      'htm of the proof is not the method of the request: its htm is "POST"; the method of the request is GET',
    ],
  ],
  [
    'D9 another URL',
    proof({ url: 'https://evil.example/orders/7' }),
    [`the proof is for "https://evil.example/orders/7", the request is to ${URL_OF_ORDERS}`],
  ],
  [
    'D11 an old one',
    proof({ iat: nowSeconds() - 7_200 }),
    [
      /it was made [-\dT:.Z]+ \(2 h ago\); dpop\.max_age is 60 s, dpop\.future_iat 5 s \(--now sets another time\)/,
    ],
  ],
  [
    'D12 of another token',
    proof({ token: 'another' }),
    [`its ath is "${tokenHash('another')}"; the hash of the token is "${ath}"`],
  ],
  [
    'D12 of another key',
    other.proof({ url: URL_OF_ORDERS, token: bound }),
    [`thumbprint ${other.thumbprint}; the token is bound to the key with ${client.thumbprint}`],
  ],
  ['D4 of another type', proof({ header: { typ: 'JWT' } }), ['its typ is "JWT", and must be dpop+jwt']],
  [
    'D5 of another algorithm',
    proof({ header: { alg: 'HS256' } }),
    ['its alg is "HS256"; dpop.algorithms are ES256'],
  ],
  ['D3 without jti', proof({ claims: { jti: undefined } }), ['it has no jti']],
  ['D2 no JWT', 'x', ['it is no well-formed JWT']],
  ['D6 forged', `${proof().slice(0, -8)}AAAAAAAA`, ['the signature of the proof is not by its jwk']],
  [
    'two things at once',
    proof({ method: 'PUT', iat: 1_000 }),
    ['its htm is "PUT"', 'it was made 1970-01-01T00:16:40.000Z'],
  ],
];
t.test('each check that fails is told with both values', async (t) => {
  for (const [name, dpop, said] of faults) {
    const refused = await ask({ dpop });
    t.match(refused, { decision: 'deny', status: 401, code: 'invalid_dpop_proof', reason: 'proof' }, name);
    for (const words of said)
      t.ok(
        typeof words === 'string' ? detailOf(refused).includes(words) : words.test(detailOf(refused)),
        `${name}: ${detailOf(refused)}`,
      );
    t.notMatch(detailOf(refused), dpop.length > 9 ? dpop : 'no such text', 'the proof itself is not shown');
  }
});

t.test('D11 --now is the time of the proof, too', async (t) => {
  const iat = nowSeconds() - 300;
  const token = mint(key, claimsOf({ iat, cnf: { jkt: client.thumbprint } }));
  const dpop = proof({ iat, token });
  t.equal((await ask({ token, dpop })).reason, 'proof');
  t.equal((await ask({ token, dpop, nowMs: (iat + 2) * 1000 })).reason, 'ok');
});

t.test('D12 ath is of the token that was given, not of the one that stands in for it', async (t) => {
  const login = { issuer: ISSUER, audiences: [AUDIENCE], jwks_url: 'https://login.example.com/keys' };
  const assumed = await ask({ dpop: proof(), document: { issuers: { login } } });
  t.equal(assumed.decision, 'allow');
  t.equal(assumed.stages.find(({ stage }) => stage === 'verify_token')?.outcome, 'assumed');
});

t.test('D10 a nonce: which one is missing, and where it is told', async (t) => {
  const dpopConfiguration = { nonces: { secret: randomBytes(32).toString('base64') } };
  const nonces = { document: { dpop: dpopConfiguration } };
  const refused = await ask({ ...nonces, dpop: proof() });
  t.equal(refused.code, 'use_dpop_nonce');
  const nonce = refused.answer?.headers.find(([name]) => name === 'dpop-nonce')?.[1] ?? '';
  t.match(nonce, /^[\w-]{43}$/);
  t.ok(
    detailOf(refused).endsWith(`: it has no nonce; clients get the nonce "${nonce}" now`),
    detailOf(refused),
  );
  t.equal((await ask({ ...nonces, dpop: proof({ nonce }) })).reason, 'ok');
});

t.test('D13 M1 what a bound token lacks, and how to give it', async (t) => {
  const without = await ask({});
  t.match(without, { status: 401, reason: 'binding' });
  t.equal(
    detailOf(without),
    `it is bound to the key ${client.thumbprint}, and the request has no DPoP proof: give one (--dpop-file F)`,
  );
  t.match(
    detailOf(await ask({ target: '/plain' })),
    /the route accepts no DPoP proofs \(auth\.sender_constrained/,
  );
  const scheme = await ask({ target: '/plain', dpop: proof() });
  t.match(scheme, { status: 401, reason: 'missing' });
  t.match(detailOf(scheme, 'extract_token'), /The route accepts no DPoP proofs/);

  const token = mint(key, claimsOf({ cnf: { 'x5t#S256': CERTIFICATE } }));
  t.equal(
    detailOf(await ask({ token })),
    `it is bound to the certificate ${CERTIFICATE}, and the request comes without one: give it (--client-cert-file F)`,
  );
  const elsewhere = tokenHash('another certificate');
  t.match(
    detailOf(await ask({ token, certificateThumbprint: elsewhere })),
    `the request comes with ${elsewhere}`,
  );
  const shown = await ask({ token, certificateThumbprint: CERTIFICATE });
  t.equal(shown.decision, 'allow');
  t.equal(detailOf(shown), `its holder has the certificate ${CERTIFICATE}`);

  const unbound = mint(key);
  t.match(detailOf(await ask({ token: unbound })), /^it is bound to nothing/);
  t.match(detailOf(await ask({ token: unbound, dpop: proof() })), /bound to no key, and was sent as DPoP/);
});

t.test('D9 the URL of the proof is that of the listener with the place of the request', async (t) => {
  const listeners = [
    { port: 8443, public_url: `https://${HOST}/v1` },
    { port: 9443, public_url: 'https://other.example:9443' },
  ];
  const asked = async (url: string, host: string): Promise<string | null> => {
    const dpop = proof({ url });
    return (await ask({ dpop, headers: ['Host', host], document: { listeners } })).reason;
  };
  t.equal(
    await asked(`https://${HOST}/v1/orders/7`, HOST),
    'ok',
    'with the path that a proxy has taken away',
  );
  t.equal(await asked(`https://${HOST}/orders/7`, HOST), 'proof');
  t.equal(await asked('https://other.example:9443/orders/7', 'other.example:9443'), 'ok');
  t.equal(await asked('https://other.example:9443/orders/7', HOST), 'proof');
  const one = { listeners: listeners.slice(1) };
  const behind = await ask({ dpop: proof({ url: 'https://other.example:9443/orders/7' }), document: one });
  t.equal(behind.reason, 'ok', 'the only listener, by whichever name it was asked');
});

t.test(
  'D14 A5 the running gateway explains a proof, uses it up neither there nor itself, and logs nothing',
  async (t) => {
    const upstream = await startUpstream(t);
    const gateway = await startGateway(t, {
      issuers: document.issuers,
      routes: [{ ...document.routes[0], match: { hosts: ['127.0.0.1'], path_prefix: '/orders' } }],
      upstreams: { u: { targets: [upstream.url] } },
    });
    const dpop = client.proof({ url: `${gateway.url}/orders/7`, token: bound });
    const question = { method: 'GET', url: `${gateway.url}/orders/7`, token: bound, dpop };
    for (const use of ['first', 'second']) {
      const explained = (await (await gateway.admin('POST', '/v1/explain', question)).json()) as Explanation;
      t.match(explained, { decision: 'allow', reason: 'ok' }, use);
    }
    const headers = ['authorization', `DPoP ${bound}`, 'dpop', dpop];
    t.equal((await send(gateway.url, '/orders/7', { headers })).status, 200, 'it was not used up');
    t.equal((await send(gateway.url, '/orders/7', { headers })).status, 401);
    t.notMatch(JSON.stringify(gateway.log), dpop.split('.')[1] ?? '');
    const empty = await gateway.admin('POST', '/v1/explain', { ...question, dpop: '' });
    t.equal(empty.status, 400);
  },
);
