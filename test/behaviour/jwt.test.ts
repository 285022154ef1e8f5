/** JWTs as attackers and odd issuers write them: accepted, or 401 with its reason, never anything else. */
import t from 'tap';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import {
  AUDIENCE,
  claimsOf,
  createKey,
  encode,
  ISSUER,
  mint,
  mintHmac,
  nowSeconds,
  signText,
} from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const rsa = createKey('RS256');
const ec = createKey('ES256');
const ed = createKey('EdDSA');
const pss = createKey('PS256');
const keys = [rsa, ec, ed, pss];
const upstream = await startUpstream(t);
const shared = {
  routes: [{ name: 'r', match: { path_prefix: '/' }, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
};
const gateway = await startGateway(t, { issuers: { login: loginIssuer(...keys) }, ...shared });

/** The status, and the reason in the log. */
async function outcome(
  token: string,
  on: TestGateway = gateway,
): Promise<[status: number, reason: string | undefined]> {
  const lines = on.log.length;
  const before = upstream.seen.length;
  const { status } = await send(on.url, '/', { token });
  const line = on.log.slice(lines).find(({ msg }) => msg === 'request');
  if (status !== 200 && upstream.seen.length !== before)
    throw new Error('the upstream saw a refused request');
  return [status, (line?.['auth'] as { reason?: string } | undefined)?.reason];
}

t.test(
  'J2 J4 token_type any: an empty aud is none, and a plain integer names a subject by its digits',
  async (t) => {
    const any = { ...loginIssuer(...keys), token_type: 'any', audiences: undefined };
    const open = await startGateway(t, { issuers: { login: any }, ...shared });
    const named = await startGateway(t, { issuers: { login: { ...any, audiences: [AUDIENCE] } }, ...shared });
    const strict = await startGateway(t, {
      issuers: { login: { ...any, token_type: 'at+jwt' } },
      ...shared,
    });
    const asked = await startGateway(t, {
      issuers: { login: { ...any, required_claims: ['aud'] } },
      ...shared,
    });
    const noAudience = mint(ec, claimsOf({ aud: [] }));
    t.strictSame(await outcome(noAudience, open), [200, 'ok']);
    t.strictSame(await outcome(noAudience, named), [401, 'wrong_audience']);
    t.strictSame(await outcome(noAudience, strict), [401, 'wrong_audience']);
    t.strictSame(await outcome(noAudience, asked), [401, 'claim']);
    t.strictSame(await outcome(mint(ec, claimsOf({ aud: [[]] })), open), [401, 'wrong_audience']);

    const withSub = (source: string): string =>
      mint(ec, JSON.stringify(claimsOf({ sub: 'SUB', aud: undefined })).replace('"SUB"', source));
    for (const digits of ['0', '7', '12345678901234567890']) {
      t.strictSame(await outcome(withSub(digits), open), [200, 'ok']);
      t.equal(upstream.seen.at(-1)?.headers['x-user-id'], digits);
      t.strictSame(await outcome(withSub(digits), strict), [401, 'claim']);
    }
    for (const odd of ['1.0', '1.5', '1e3', '-1', '-0', '1E400', 'true', '{}', '[7]'])
      t.strictSame(await outcome(withSub(odd), open), [401, 'claim'], odd);
    for (const absent of ['null', '""']) {
      t.strictSame(await outcome(withSub(absent), open), [200, 'ok'], absent);
      t.equal(upstream.seen.at(-1)?.headers['x-user-id'], undefined, absent);
    }
    t.strictSame(await outcome(withSub('null'), strict), [401, 'claim']);

    // Before the cutoff: the next second may have begun when it is set.
    const [asNumber, asText] = [withSub('7'), withSub('"7"')];
    const revoked = await open.admin('POST', '/v1/revocations', { issuer: ISSUER, subject: '7' });
    t.equal(revoked.status, 201);
    t.strictSame(await outcome(asNumber, open), [401, 'revoked'], 'the same subject as its text');
    t.strictSame(await outcome(asText, open), [401, 'revoked']);
    t.strictSame(await outcome(withSub('70'), open), [200, 'ok']);
  },
);

for (const key of keys) {
  t.test(`${key.algorithm}: a good token passes, cached or not`, async (t) => {
    const token = mint(key);
    t.strictSame(await outcome(token), [200, 'ok']);
    t.strictSame(await outcome(token), [200, 'ok']);
  });
}

t.test('Ed25519, by its new name', async (t) => {
  const key = createKey('EdDSA');
  const own = await startGateway(t, {
    issuers: { login: { ...loginIssuer(key), algorithms: ['Ed25519'] } },
    ...shared,
  });
  t.strictSame(await outcome(mint(key, claimsOf(), { alg: 'Ed25519' }), own), [200, 'ok']);
  t.strictSame(await outcome(mint(key), own), [401, 'bad_signature'], 'only the configured spelling');
});

t.test('J0 one token, one spelling', async (t) => {
  const token = mint(rsa);
  t.strictSame(await outcome(token), [200, 'ok']);
  const [header = '', payload = '', signature = ''] = token.split('.');
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  for (const last of alphabet) {
    const spelling = token.slice(0, -1) + last;
    if (spelling !== token) t.equal((await outcome(spelling))[0], 401, `ends in ${last}`);
  }
  for (const spelling of [
    `${token}=`,
    `${token}==`,
    `${token}.`,
    `.${token}`,
    `${header}..${signature}`,
    `${header}.${payload}.`,
    `..${signature}`,
    `${header}.${payload}.${signature}.x.y`,
  ]) {
    t.equal((await outcome(spelling))[0], 401, spelling.slice(-12));
  }
});

const now = nowSeconds();
const claimCases: [string, Record<string, unknown>, string][] = [
  ['J2 no client_id and no azp', { client_id: undefined }, 'claim'],
  ['J2 no client_id and an empty azp', { client_id: undefined, azp: '' }, 'claim'],
  ['J2 an empty client_id and no azp', { client_id: '' }, 'claim'],
  ['J2 no client_id and an azp that is no string', { client_id: undefined, azp: ['web'] }, 'claim'],
  ['J2 no jti', { jti: undefined }, 'claim'],
  ['J2 no iat', { iat: undefined }, 'claim'],
  ['J2 no exp', { exp: undefined }, 'claim'],
  ['J2 a sub that is no string', { sub: 7 }, 'claim'],
  ['J2 a jti that is no string', { jti: ['a'] }, 'claim'],
  ['J3 iss in other capitals', { iss: ISSUER.toUpperCase() }, 'unknown_issuer'],
  ['J3 iss with a slash', { iss: `${ISSUER}/` }, 'unknown_issuer'],
  ['J3 iss as an array', { iss: [ISSUER] }, 'unknown_issuer'],
  ['J4 aud: []', { aud: [] }, 'wrong_audience'],
  ['J4 aud: {}', { aud: { a: AUDIENCE } }, 'wrong_audience'],
  ['J4 aud nested', { aud: [[AUDIENCE]] }, 'wrong_audience'],
  ['J4 aud with a member that is no string', { aud: [AUDIENCE, 1] }, 'wrong_audience'],
  ['J4 aud is a prefix of ours', { aud: AUDIENCE.slice(0, -1) }, 'wrong_audience'],
  ['J12 exp as text', { exp: String(now + 60) }, 'claim'],
  ['J12 exp: true', { exp: true }, 'claim'],
  ['J12 exp: []', { exp: [] }, 'claim'],
  ['J12 exp: null', { exp: null }, 'claim'],
  ['J12 nbf as text', { nbf: 'x' }, 'claim'],
  ['J12 exp at the edge of the skew', { iat: now - 600, exp: now - 31 }, 'expired'],
];
for (const [name, changes, reason] of claimCases) {
  t.test(`${name}: 401 ${reason}`, async (t) => {
    t.strictSame(await outcome(mint(ec, claimsOf(changes))), [401, reason]);
  });
}

t.test(
  'J2 azp names the client of an access token as client_id does, and a client for itself needs no sub',
  async (t) => {
    t.strictSame(await outcome(mint(ec, claimsOf({ client_id: undefined, azp: 'spa' }))), [200, 'ok']);
    const custom = await startGateway(t, {
      issuers: { login: { ...loginIssuer(ec), claim_names: { client: 'app.id' } } },
      ...shared,
    });
    const named = mint(ec, claimsOf({ client_id: undefined, app: { id: 'spa' } }));
    t.strictSame(await outcome(named, custom), [200, 'ok'], 'as the issuer names it');
    t.strictSame(await outcome(named), [401, 'claim'], 'another issuer does not');
    t.strictSame(await outcome(mint(ec, claimsOf({ client_id: 'daemon', sub: undefined }))), [200, 'ok']);
    t.equal(upstream.seen.at(-1)?.headers['x-user-id'], undefined, 'the client is no user');
    const ids = await startGateway(t, {
      issuers: { login: { ...loginIssuer(ec), token_type: 'id_token' } },
      ...shared,
    });
    t.strictSame(await outcome(mint(ec, claimsOf({ sub: undefined }), { typ: 'JWT' }), ids), [401, 'claim']);
  },
);

t.test('J4 J12 what is allowed passes', async (t) => {
  for (const changes of [
    { aud: [AUDIENCE, 'https://other'] },
    { iat: now - 600, exp: nowSeconds() - 20 },
    { nbf: nowSeconds() + 20 },
    { iat: now + 3, exp: now + 600 },
    { exp: now + 60.5 },
  ]) {
    t.strictSame(await outcome(mint(ec, claimsOf(changes))), [200, 'ok'], JSON.stringify(changes));
  }
  const text = JSON.stringify(claimsOf()).replace(/"exp":\d+/, `"exp":${((now + 60) / 1e9).toFixed(9)}e9`);
  t.strictSame(await outcome(mint(ec, text)), [200, 'ok'], 'an exponent');
});

t.test('J12 numbers beyond reason: 401', async (t) => {
  for (const exp of ['1e999', '-1e999', '9007199254740993', '1e400']) {
    const text = JSON.stringify(claimsOf()).replace(/"exp":\d+/, `"exp":${exp}`);
    t.equal((await outcome(mint(ec, text)))[0], 401, exp);
  }
});

t.test('J1 typ: its forms, in any capitals; nothing else', async (t) => {
  for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/At+Jwt']) {
    t.strictSame(await outcome(mint(ec, claimsOf(), { typ })), [200, 'ok'], typ);
  }
  for (const typ of [
    'JWT',
    'at+jwt ',
    'logout+jwt',
    '',
    undefined,
    7,
    ['at+jwt'],
    'application/application/at+jwt',
  ]) {
    t.strictSame(await outcome(mint(ec, claimsOf(), { typ })), [401, 'wrong_type'], String(typ));
  }
});

t.test('J1 token_type: any takes plain JWTs, and never what was made for other ends', async (t) => {
  const own = await startGateway(t, {
    issuers: { login: { ...loginIssuer(ec), token_type: 'any', required_claims: ['tenant.id'] } },
    ...shared,
  });
  const tenant = { tenant: { id: 'a' } };
  const bare = claimsOf({ client_id: undefined, jti: undefined, iat: undefined, ...tenant });
  t.strictSame(await outcome(mint(ec, bare, { typ: 'JWT' }), own), [200, 'ok']);
  t.strictSame(await outcome(mint(ec, bare, { typ: undefined }), own), [200, 'ok']);
  t.strictSame(await outcome(mint(ec, claimsOf(), { typ: 'JWT' }), own), [401, 'claim'], 'required_claims');
  t.strictSame(await outcome(mint(ec, claimsOf({ ...tenant, aud: undefined }), { typ: 'JWT' }), own), [
    401,
    'wrong_audience',
  ]);
  t.strictSame(await outcome(mint(ec, claimsOf({ ...tenant, iat: undefined, exp: now + 200_000 })), own), [
    401,
    'lifetime',
  ]);
  for (const typ of ['logout+jwt', 'dpop+jwt', 'sallyport-identity+jwt', 'APPLICATION/LOGOUT+JWT']) {
    t.strictSame(await outcome(mint(ec, claimsOf(tenant), { typ }), own), [401, 'wrong_type'], typ);
  }
});

t.test('J5 C5 the algorithm is the issuer’s choice, never the header’s', async (t) => {
  const [, payload] = mint(rsa).split('.');
  for (const alg of ['none', 'None', 'NONE', 'ES256 ', '', 'HS256', 'rs256', 'RS384']) {
    t.equal((await outcome(`${encode({ alg, typ: 'at+jwt', kid: rsa.kid })}.${payload}.`))[0], 401, alg);
    t.equal((await outcome(mint(rsa, claimsOf(), { alg })))[0], 401, alg);
  }
  t.equal((await outcome(mint(rsa, claimsOf(), { alg: ['ES256'] })))[0], 401);
  const pem = rsa.publicKey.export({ format: 'pem', type: 'spki' }) as string;
  const der = rsa.publicKey.export({ format: 'der', type: 'spki' });
  for (const secret of [pem, pem.trim(), `${pem}\n`, der, JSON.stringify(rsa.jwk), String(rsa.jwk['n'])]) {
    t.strictSame(await outcome(mintHmac(secret, claimsOf(), { kid: rsa.kid })), [401, 'bad_signature']);
  }
  // A key of one kind under the name of another.
  t.equal((await outcome(mint(ec, claimsOf(), { alg: 'RS256', kid: rsa.kid })))[0], 401);
  t.equal((await outcome(mint(rsa, claimsOf(), { kid: pss.kid })))[0], 401, 'the key says PS256');
});

t.test('J8 C6 keys and addresses in a header are ignored', async (t) => {
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    response.end(JSON.stringify({ keys: [evil.jwk] }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const evil = createKey('ES256', 'evil');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  for (const header of [{ jwk: evil.jwk }, { jku: url }, { x5u: url }, { x5c: ['AA=='] }]) {
    t.equal((await outcome(mint(evil, claimsOf(), { ...header })))[0], 401);
    t.equal((await outcome(mint(evil, claimsOf(), { ...header, kid: undefined })))[0], 401);
  }
  t.equal(asked, 0);
});

t.test('J9 J10 J11 J14 headers and payloads out of order: 401', async (t) => {
  for (const header of [
    { crit: ['exp'] },
    { crit: [] },
    { b64: false },
    { b64: true },
    { kid: 7 },
    { kid: 'k'.repeat(129) },
    { kid: null },
  ]) {
    t.equal((await outcome(mint(ec, claimsOf(), header)))[0], 401, JSON.stringify(header));
  }
  const good = JSON.stringify(claimsOf());
  for (const payload of [
    good.replace('{', '{"sub":"eve",'),
    `\ufeff${good}`,
    '[]',
    '"x"',
    'null',
    `${good} x`,
    good.replace('alice', '\\ud800'),
    good.replace('}', `,"deep":${'['.repeat(40)}${']'.repeat(40)}}`),
  ]) {
    t.strictSame(await outcome(mint(ec, payload)), [401, 'malformed'], payload.slice(0, 30));
  }
  const content = `${encode({ alg: 'ES256', typ: 'at+jwt', kid: ec.kid })}.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}`;
  t.strictSame(await outcome(`${content}.${signText(content, ec)}`), [401, 'malformed'], 'invalid UTF-8');
  const doubled = encode('{"alg":"none","alg":"ES256","typ":"at+jwt"}');
  t.strictSame(await outcome(`${doubled}.${encode(good)}.${signText('x', ec)}`), [401, 'malformed']);
  t.equal((await outcome('eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..aaaa.bbbb.cccc'))[0], 401, 'JWE');
});

t.test('J16 C6 r or s of zero: 401', async (t) => {
  const content = mint(ec).split('.').slice(0, 2).join('.');
  for (const signature of [
    Buffer.alloc(64),
    Buffer.concat([Buffer.alloc(32), Buffer.alloc(32, 1)]),
    Buffer.alloc(64, 255),
  ]) {
    t.strictSame(await outcome(`${content}.${signature.toString('base64url')}`), [401, 'bad_signature']);
  }
});

t.test('J3 two issuers with the same kid: each vouches for itself alone', async (t) => {
  const a = createKey('ES256', 'same');
  const b = createKey('ES256', 'same');
  const other = 'https://other.example.com';
  const own = await startGateway(t, {
    issuers: { a: loginIssuer(a), b: { ...loginIssuer(b), issuer: other } },
    routes: [
      { name: 'both', match: { path_prefix: '/' }, upstream: 'u' },
      { name: 'only-b', match: { path_prefix: '/b' }, upstream: 'u', auth: { issuers: ['b'] } },
    ],
    upstreams: shared.upstreams,
  });
  const ofA = mint(a);
  t.strictSame(await outcome(ofA, own), [200, 'ok']);
  t.strictSame(await outcome(mint(b, claimsOf({ iss: other })), own), [200, 'ok']);
  t.strictSame(await outcome(mint(b), own), [401, 'bad_signature']);
  t.strictSame(await outcome(mint(a, claimsOf({ iss: other })), own), [401, 'bad_signature']);
  t.equal(
    (await send(own.url, '/b', { token: ofA })).status,
    401,
    'C9 primed elsewhere, still not of this route',
  );
});

t.test('HS256 with a secret of full length', async (t) => {
  const secret = 'correct horse battery staple, and then some';
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'secret'), `${secret}\n`);
  const own = await startGateway(
    t,
    { issuers: { login: { issuer: ISSUER, hmac_secret_file: 'secret', audiences: [AUDIENCE] } }, ...shared },
    { folder },
  );
  t.strictSame(await outcome(mintHmac(secret), own), [200, 'ok']);
  t.strictSame(await outcome(mintHmac(`${secret}x`), own), [401, 'bad_signature']);
  t.strictSame(await outcome(mint(rsa), own), [401, 'bad_signature']);
});

t.test('the token of the JWT introduction is refused by default', async (t) => {
  const token =
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c';
  t.strictSame(await outcome(token), [401, 'unknown_issuer']);
  // Its secret is too short to be configured at all; see test/config.
});

t.test('J13 J15 J17 C7 C8 large and near tokens', async (t) => {
  const first = mint(ec, claimsOf({ sub: 'a', scope: 'x' }));
  const second = mint(ec, claimsOf({ sub: 'b', scope: 'x' }));
  await outcome(first);
  await outcome(second);
  t.equal(upstream.seen.at(-1)?.headers['x-user-id'], 'b', 'two tokens never share a result');
  t.equal((await outcome(mint(ec, claimsOf({ big: 'x'.repeat(7_000) }))))[0], 401, 'beyond token_bytes');
  t.equal((await outcome(mint(ec, claimsOf({ big: 'x'.repeat(100_000) }))))[0], 431, 'beyond header_bytes');
  t.strictSame(await outcome(mint(ec, claimsOf({ sub: 'a\r\nX-Admin: 1\0' }))), [200, 'ok']);
  t.equal(upstream.seen.at(-1)?.headers['x-user-id'], 'a%0D%0AX-Admin: 1%00');
  t.notOk('x-admin' in (upstream.seen.at(-1)?.headers ?? {}));
});

t.test('the key file may hold several keys; those that cannot be used are left out', async (t) => {
  const folder = temporaryFolder(t);
  const weak = { kty: 'RSA', n: 'AQAB', e: 'AQAB', kid: 'weak' };
  writeFileSync(
    join(folder, 'jwks.json'),
    // As some editors write files.
    '\ufeff' +
      JSON.stringify({
        keys: [weak, { kty: 'oct', k: 'AAAA' }, ed.jwk, ec.privateKey.export({ format: 'jwk' })],
      }),
  );
  const own = await startGateway(
    t,
    { issuers: { login: { issuer: ISSUER, jwks_file: 'jwks.json', audiences: [AUDIENCE] } }, ...shared },
    { folder },
  );
  t.strictSame(await outcome(mint(ed), own), [200, 'ok']);
  t.strictSame(
    await outcome(mint(ec, claimsOf(), { kid: undefined }), own),
    [401, 'unknown_key'],
    'J7 a private key is no key',
  );
});
