/** What a DPoP proof must be. Rules D1 to D12, D14. */
import { generateKeyPairSync, hash, randomBytes, randomUUID } from 'node:crypto';
import t from 'tap';
import { PROOF_ALGORITHMS } from '../../src/token/algorithms.ts';
import { ProofNonces } from '../../src/token/dpop-nonce.ts';
import { ProofVerifier, type ProofContext, type ProofPolicy } from '../../src/token/dpop-proof.ts';
import { readProofHeader, RecentProofHeaders, type KnownProofHeader } from '../../src/token/proof-header.ts';
import { ProofRefused, type ProofCheck } from '../../src/token/proof-refusal.ts';
import { proofKey, tokenHash, type ProofKey, type ProofOptions } from '../support/proofs.ts';
import { encode } from '../support/tokens.ts';
import { readVectors, vectorMissing } from '../support/vectors.ts';

const NOW = 1_800_000_000;
const URL_HERE = 'https://api.example.com/orders/17';
const TOKEN = 'token-of-alice';
const POLICY: ProofPolicy = {
  algorithms: ['ES256', 'PS256', 'RS256', 'EdDSA', 'Ed25519'],
  maxAgeSeconds: 60,
  futureIatSeconds: 5,
  nonces: undefined,
};

const verifier = (changes: Partial<ProofPolicy> = {}): ProofVerifier =>
  new ProofVerifier({ ...POLICY, ...changes });
const key = proofKey();
const good: ProofOptions = { url: URL_HERE, token: TOKEN, iat: NOW };
const contextOf = ({ thumbprint }: Pick<ProofKey, 'thumbprint'> = key): ProofContext => ({
  method: 'GET',
  url: URL_HERE,
  accessToken: TOKEN,
  keyThumbprint: thumbprint,
  nowMs: NOW * 1_000,
});
const changed = (changes: Partial<ProofOptions>): string => key.proof({ ...good, ...changes });

/** The check that refuses the proof, or undefined. */
function refusal(by: ProofVerifier, proof: string, context = contextOf()): ProofCheck | undefined {
  try {
    by.verify(proof, context);
    return undefined;
  } catch (error) {
    if (error instanceof ProofRefused) return error.check;
    throw error;
  }
}

for (const algorithm of PROOF_ALGORITHMS) {
  t.test(`D5 D6 a proof of a key for ${algorithm} passes`, async (t) => {
    const own = proofKey(algorithm);
    const subject = verifier({ algorithms: [algorithm] });
    for (const time of ['first', 'second'])
      t.equal(refusal(subject, own.proof(good), contextOf(own)), undefined, `the ${time} of this key`);
    t.equal(refusal(subject, proofKey(algorithm).proof(good), contextOf(own)), 'jkt');
  });
}

const passing: Record<string, Partial<ProofOptions>> = {
  'D4 a typ in capital letters': { header: { typ: 'DPoP+JWT' } },
  'D4 a typ with application/ before it': { header: { typ: 'application/dpop+jwt' } },
  'D7 a jwk with kid, use, alg and key_ops': {
    header: { jwk: { ...key.jwk, kid: 'k', use: 'sig', alg: 'ES256', key_ops: ['verify'], ext: true } },
  },
  'D2 a header with white space between its members': {
    header: JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.jwk }, null, 2),
  },
  'D9 an htu with a query': { url: `${URL_HERE}?a=1` },
  'D9 an htu with a fragment': { url: `${URL_HERE}#a` },
  'D9 an htu with another spelling': { url: 'HTTPS://API.example.com:443/./%6Frders/17' },
  'D3 a jti of 256 characters': { claims: { jti: 'x'.repeat(256) } },
  'D3 a jti of one character': { claims: { jti: 'x' } },
  'D11 the oldest iat': { iat: NOW - 60 },
  'D11 the iat that is furthest ahead': { iat: NOW + 5 },
  'D11 an iat with a fraction': { iat: NOW - 0.5 },
  'D11 exp and nbf around now': { claims: { exp: NOW + 1, nbf: NOW + 5 } },
  'D10 a nonce that was not asked for': { nonce: 'whatever' },
  'D3 other claims and members': { claims: { iss: 'me', a: [1, { b: null }] }, header: { kid: 'k', x: 1 } },
};
for (const [name, changes] of Object.entries(passing)) {
  t.test(`${name} passes`, async (t) => t.equal(refusal(verifier(), changed(changes)), undefined));
}

const secret = { kty: 'oct', k: 'x'.repeat(43) };
const withD = { ...key.jwk, ...key.privateKey.export({ format: 'jwk' }) };
const segments = (index: number, change: (segment: string) => string): string =>
  key
    .proof(good)
    .split('.')
    .map((segment, at) => (at === index ? change(segment) : segment))
    .join('.');

const refused: Record<string, [proof: () => string, check: ProofCheck]> = {
  'D2 no text': [() => '', 'form'],
  'D1 D2 two proofs with a comma': [() => `${key.proof(good)}, ${key.proof(good)}`, 'form'],
  'D2 two segments': [() => key.proof(good).split('.').slice(0, 2).join('.'), 'form'],
  'D2 four segments': [() => `${key.proof(good)}.AA`, 'form'],
  'D2 an empty signature': [() => segments(2, () => ''), 'form'],
  'D2 padding': [() => segments(2, (text) => `${text}==`), 'form'],
  'D2 another last character': [() => segments(0, (text) => respelt(text)), 'form'],
  'D2 white space': [() => segments(1, (text) => ` ${text}`), 'form'],
  'D2 JSON serialization': [() => JSON.stringify({ payload: '', signatures: [] }), 'form'],
  'D2 a payload that is a list': [() => changed({ claims: '[]' }), 'form'],
  'D2 a claim twice': [() => changed({ claims: '{"jti":"a","jti":"b"}' }), 'form'],
  'D2 a member of the header twice': [
    () => changed({ header: '{"typ":"dpop+jwt","alg":"ES256","alg":"ES256"}' }),
    'form',
  ],
  'D2 a header that is no object': [() => changed({ header: '"ES256"' }), 'form'],
  'D2 crit': [() => changed({ header: { crit: ['exp'] } }), 'form'],
  'D2 b64': [() => changed({ header: { b64: true } }), 'form'],
  'D2 more than 8 KiB': [() => changed({ claims: { a: 'x'.repeat(8_192) } }), 'length'],
  'D4 typ JWT': [() => changed({ header: { typ: 'JWT' } }), 'typ'],
  'D4 typ at+jwt': [() => changed({ header: { typ: 'at+jwt' } }), 'typ'],
  'D4 typ with a parameter': [() => changed({ header: { typ: 'dpop+jwt; v=1' } }), 'typ'],
  'D4 typ with a line break': [() => changed({ header: { typ: 'dpop+jwt\n' } }), 'typ'],
  'D4 typ in a list': [() => changed({ header: { typ: ['dpop+jwt'] } }), 'typ'],
  'D4 no typ': [() => changed({ header: { typ: undefined } }), 'typ'],
  'D5 alg none': [() => changed({ header: { alg: 'none' } }), 'alg'],
  'D5 alg HS256': [() => changed({ header: { alg: 'HS256' } }), 'alg'],
  'D5 alg HS256 with a secret as jwk': [() => changed({ header: { alg: 'HS256', jwk: secret } }), 'alg'],
  'D5 an alg that is not configured': [() => changed({ header: { alg: 'ES512' } }), 'alg'],
  'D5 an alg that does not exist': [() => changed({ header: { alg: 'ES256 ' } }), 'alg'],
  'D5 an alg that is a list': [() => changed({ header: { alg: ['ES256'] } }), 'form'],
  'D5 no alg': [() => changed({ header: { alg: undefined } }), 'form'],
  'D5 an alg of another type of key': [() => changed({ header: { alg: 'RS256' } }), 'jwk'],
  'D7 a jwk with d': [() => changed({ header: { jwk: withD } }), 'jwk'],
  'D7 a jwk with d: null': [() => changed({ header: { jwk: { ...key.jwk, d: null } } }), 'jwk'],
  'D7 no jwk': [() => changed({ header: { jwk: undefined } }), 'jwk'],
  'D7 a jwk that is a text': [() => changed({ header: { jwk: JSON.stringify(key.jwk) } }), 'jwk'],
  'D7 a jwk that is a list': [() => changed({ header: { jwk: [key.jwk] } }), 'jwk'],
  'D7 a jwk of kty oct': [() => changed({ header: { jwk: secret } }), 'jwk'],
  'D7 a jwk for encryption': [() => changed({ header: { jwk: { ...key.jwk, use: 'enc' } } }), 'jwk'],
  'D7 a jwk without y': [() => changed({ header: { jwk: { ...key.jwk, y: undefined } } }), 'jwk'],
  'D12 a proof of another key': [() => proofKey().proof(good), 'jkt'],
  'D6 the signature of another key': [
    () => proofKey().proof({ ...good, header: { jwk: key.jwk } }),
    'signature',
  ],
  'D6 a changed signature': [
    () => segments(2, (text) => (text[0] === 'A' ? 'B' : 'A') + text.slice(1)),
    'signature',
  ],
  'D6 r = s = 0': [() => segments(2, () => Buffer.alloc(64).toString('base64url')), 'signature'],
  'D6 a signature in DER': [
    () => segments(2, () => Buffer.alloc(70, 0x30).toString('base64url')),
    'signature',
  ],
  'D6 changed claims': [
    () => segments(1, (text) => encode({ ...claimsIn(text), jti: 'another' })),
    'signature',
  ],
  'D3 no jti': [() => changed({ claims: { jti: undefined } }), 'claims'],
  'D3 an empty jti': [() => changed({ claims: { jti: '' } }), 'claims'],
  'D3 a jti of 257 characters': [() => changed({ claims: { jti: 'x'.repeat(257) } }), 'claims'],
  'D3 a jti that is a number': [() => changed({ claims: { jti: 7 } }), 'claims'],
  'D3 no htm': [() => changed({ claims: { htm: undefined } }), 'claims'],
  'D3 an htm that is a list': [() => changed({ claims: { htm: ['GET'] } }), 'claims'],
  'D3 no htu': [() => changed({ claims: { htu: undefined } }), 'claims'],
  'D3 an htu that is null': [() => changed({ claims: { htu: null } }), 'claims'],
  'D3 no ath': [() => key.proof({ url: URL_HERE, iat: NOW }), 'claims'],
  'D3 D11 no iat': [() => changed({ claims: { iat: undefined } }), 'claims'],
  'D3 D11 an iat that is a text': [() => changed({ iat: String(NOW) }), 'claims'],
  'D3 D11 an infinite iat': [
    () =>
      changed({
        claims: JSON.stringify(claimsIn(key.proof(good).split('.')[1] ?? '')).replace(String(NOW), '1e999'),
      }),
    'claims',
  ],
  'D8 htm in small letters': [() => changed({ method: 'get' }), 'htm'],
  'D8 htm of another method': [() => changed({ method: 'POST' }), 'htm'],
  'D8 htm with a space': [() => changed({ method: 'GET ' }), 'htm'],
  'D9 htu of another host': [() => changed({ url: 'https://api2.example.com/orders/17' }), 'htu'],
  'D9 htu of another path': [() => changed({ url: `${URL_HERE}8` }), 'htu'],
  'D9 htu of another case of the path': [() => changed({ url: 'https://api.example.com/Orders/17' }), 'htu'],
  'D9 htu with http': [() => changed({ url: 'http://api.example.com/orders/17' }), 'htu'],
  'D9 htu of another port': [() => changed({ url: 'https://api.example.com:8443/orders/17' }), 'htu'],
  'D9 htu with a slash at the end': [() => changed({ url: `${URL_HERE}/` }), 'htu'],
  'D9 htu with an encoded slash': [() => changed({ url: 'https://api.example.com/orders%2F17' }), 'htu'],
  'D9 htu with userinfo': [() => changed({ url: 'https://a@api.example.com/orders/17' }), 'htu'],
  'D9 htu that is a path': [() => changed({ url: '/orders/17' }), 'htu'],
  'D9 htu with a backslash': [() => changed({ url: 'https://api.example.com\\orders/17' }), 'htu'],
  'D12 ath of another token': [() => changed({ token: 'token-of-bob' }), 'ath'],
  'D12 ath in hex': [() => changed({ claims: { ath: hash('sha256', TOKEN, 'hex') } }), 'ath'],
  'D12 ath with padding': [() => changed({ claims: { ath: `${tokenHash(TOKEN)}=` } }), 'ath'],
  'D11 iat before the window': [() => changed({ iat: NOW - 61 }), 'iat'],
  'D11 iat beyond the window': [() => changed({ iat: NOW + 6 }), 'iat'],
  'D11 iat in milliseconds': [() => changed({ iat: NOW * 1_000 }), 'iat'],
  'D11 a negative iat': [() => changed({ iat: -NOW }), 'iat'],
  'D11 an exp that has passed': [() => changed({ claims: { exp: NOW } }), 'lifetime'],
  'D11 an exp that is a text': [() => changed({ claims: { exp: String(NOW + 60) } }), 'lifetime'],
  'D11 an exp that is null': [() => changed({ claims: { exp: null } }), 'lifetime'],
  'D11 an nbf that is to come': [() => changed({ claims: { nbf: NOW + 6 } }), 'lifetime'],
  'D11 an nbf that is a list': [() => changed({ claims: { nbf: [NOW] } }), 'lifetime'],
};
const warm = verifier();
for (const [name, [proof, check]] of Object.entries(refused)) {
  t.test(`${name} is refused`, async (t) => {
    const text = proof();
    t.equal(refusal(verifier(), text), check);
    t.equal(refusal(warm, key.proof(good)), undefined);
    t.equal(refusal(warm, text), check, 'where the key is known');
  });
}

/** The same bytes, where a decoder ignores the bits that are left over. */
function respelt(segment: string): string {
  const bytes = Buffer.from(segment, 'base64url');
  for (const last of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
    const other = segment.slice(0, -1) + last;
    if (other !== segment && bytes.equals(Buffer.from(other, 'base64url'))) return other;
  }
  // No bits are left over: padding is all that there is.
  return `${segment}=`;
}

function headerOf(own: ProofKey): string {
  return own.proof(good).split('.')[0] ?? '';
}

function claimsIn(segment: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(segment, 'base64url').toString()) as Record<string, unknown>;
}

const EXAMPLE = 'dpop/rfc9449-example.json';

interface Example {
  readonly accessToken: string;
  readonly proof: string;
  readonly method: string;
  readonly url: string;
  readonly now: number;
  readonly expected: { readonly jkt: string; readonly ath: string };
}

t.test(
  'D2 D6 D9 D11 D12 the proof of RFC 9449 passes for its request, and for no other',
  { skip: vectorMissing(EXAMPLE) },
  async (t) => {
    const example = readVectors<Example>(EXAMPLE);
    const { accessToken, proof, method, url, now, expected } = example;
    const context = { method, url, accessToken, keyThumbprint: expected.jkt, nowMs: now * 1_000 };
    const accepted = verifier().verify(proof, context);
    const { jti } = claimsIn(proof.split('.')[1] ?? '');
    t.strictSame(accepted, {
      id: hash('sha256', `${expected.jkt}.${String(jti)}`, 'base64url'),
      usableForMs: 65_000,
      nonce: undefined,
    });
    t.equal(tokenHash(accessToken), expected.ath);
    const others: [Partial<ProofContext>, ProofCheck][] = [
      [{ method: 'POST' }, 'htm'],
      [{ url: `${url}/` }, 'htu'],
      [{ accessToken: `${accessToken}A` }, 'ath'],
      [{ keyThumbprint: key.thumbprint }, 'jkt'],
      [{ nowMs: (now + 61) * 1_000 }, 'iat'],
      [{ nowMs: (now - 6) * 1_000 }, 'iat'],
    ];
    for (const [change, check] of others)
      t.equal(refusal(verifier(), proof, { ...context, ...change }), check, JSON.stringify(change));
  },
);

const rsa = (bits: number, publicExponent = 65_537): ProofKey['jwk'] =>
  generateKeyPairSync('rsa', { modulusLength: bits, publicExponent }).publicKey.export({
    format: 'jwk',
  }) as ProofKey['jwk'];
const thumbprintOf = (jwk: ProofKey['jwk']): string => {
  const names = jwk['kty'] === 'RSA' ? ['e', 'kty', 'n'] : ['crv', 'kty', 'x', 'y'];
  return hash(
    'sha256',
    JSON.stringify(Object.fromEntries(names.map((name) => [name, jwk[name]]))),
    'base64url',
  );
};
const zeroBefore = (text = ''): string =>
  Buffer.concat([Buffer.alloc(1), Buffer.from(text, 'base64url')]).toString('base64url');

t.test('D7 a token may be bound to a key that makes no proofs', async (t) => {
  const { n = '' } = rsa(2048);
  const odd = (bytes: number): string => Buffer.alloc(bytes, 0xff).toString('base64url');
  const keys: Record<string, [algorithm: string, jwk: ProofKey['jwk']]> = {
    'RSA of 1024 bits': ['RS256', rsa(1024)],
    'RSA of more than 4096 bits': ['RS256', { kty: 'RSA', n: odd(513), e: 'AQAB' }],
    'RSA with an exponent of 33 bits': ['RS256', { kty: 'RSA', n, e: 'AQAAAAE' }],
    'RSA with exponent 1': ['RS256', { kty: 'RSA', n, e: 'AQ' }],
    'RSA with a zero before its modulus': ['RS256', { kty: 'RSA', n: zeroBefore(n), e: 'AQAB' }],
    'RSA with padding': ['RS256', { kty: 'RSA', n: `${n}==`, e: 'AQAB' }],
    'RSA for PS256 that says RS256': ['PS256', { ...rsa(2048), alg: 'RS256' }],
    'EC with a zero before x': ['ES256', { ...key.jwk, x: zeroBefore(key.jwk['x']) }],
    'EC with white space': ['ES256', { ...key.jwk, x: ` ${key.jwk['x']}` }],
    'EC of another curve': ['ES256', proofKey('ES384').jwk],
    'EC off its curve': ['ES256', { ...key.jwk, y: key.jwk['x'] ?? '' }],
  };
  for (const [name, [alg, jwk]] of Object.entries(keys)) {
    const context = contextOf({ thumbprint: thumbprintOf(jwk) });
    const proof = changed({ header: { alg, jwk } });
    t.equal(refusal(verifier({ algorithms: PROOF_ALGORITHMS }), proof, context), 'jwk', name);
  }
  // Nothing has signed with this one, so its signature is what is wrong.
  const longest = { kty: 'RSA', n: odd(512), e: 'AQAB' };
  const proof = changed({ header: { alg: 'RS256', jwk: longest } });
  t.equal(refusal(verifier(), proof, contextOf({ thumbprint: thumbprintOf(longest) })), 'signature');
});

t.test('D7 D12 no key is made of a jwk that the token is not bound to', async (t) => {
  const proof = changed({ header: { jwk: { ...key.jwk, y: key.jwk['x'] } } });
  t.equal(refusal(verifier(), proof), 'jkt', 'the point is not on the curve, and this stays unknown');
});

t.test('D10 where nonces are configured, a proof has one of ours', async (t) => {
  const [nonces, others] = [randomBytes(32), randomBytes(32)].map(
    (of) => new ProofNonces({ secret: of, rotateMs: 60_000 }),
  ) as [ProofNonces, ProofNonces];
  const subject = verifier({ nonces });
  const { nowMs } = contextOf();
  const ageOf = (nonce: string): unknown => subject.verify(changed({ nonce }), contextOf()).nonce;
  t.equal(ageOf(nonces.current(nowMs)), 'current');
  t.equal(ageOf(nonces.current(nowMs - 60_000)), 'previous');
  t.equal(refusal(subject, changed({})), 'nonce', 'none');
  for (const nonce of ['', 'x', others.current(nowMs), nonces.current(nowMs - 120_000)])
    t.equal(refusal(subject, changed({ nonce })), 'nonce', nonce);
  t.equal(refusal(subject, changed({ claims: { nonce: [nonces.current(nowMs)] } })), 'nonce', 'a list');
  t.equal(refusal(subject, changed({ method: 'PUT' })), 'htm', 'another fault is told first');
  t.equal(new ProofRefused('nonce').kind, 'nonce');
  t.equal(new ProofRefused('htm').kind, 'invalid');
});

t.test('D14 one jti of one key has one id, and another has another', async (t) => {
  const subject = verifier();
  const idOf = (own: ProofKey, changes: Partial<ProofOptions>): string =>
    subject.verify(own.proof({ ...good, ...changes }), contextOf(own)).id;
  const other = proofKey();
  const id = idOf(key, { claims: { jti: 'a' } });
  t.match(id, /^[\w-]{43}$/);
  t.equal(idOf(key, { claims: { jti: 'a', more: 1 }, header: { kid: 'k' }, iat: NOW - 1 }), id);
  t.not(idOf(key, { claims: { jti: 'b' } }), id);
  t.not(idOf(other, { claims: { jti: 'a' } }), id);
});

t.test('D14 the twin of a signature of ECDSA has the same id', async (t) => {
  const proof = key.proof(good);
  const content = proof.slice(0, proof.lastIndexOf('.'));
  const bytes = Buffer.from(proof.split('.')[2] ?? '', 'base64url');
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  const subject = verifier();
  t.equal(
    subject.verify(`${content}.${twin.toString('base64url')}`, contextOf()).id,
    subject.verify(proof, contextOf()).id,
  );
});

t.test('D14 a proof is remembered for as long as any gateway of the fleet may accept it', async (t) => {
  for (const iat of [NOW, NOW - 60, NOW + 5, NOW - 30.25]) {
    const proof = changed({ iat });
    const { usableForMs } = verifier().verify(proof, contextOf());
    t.ok(Number.isSafeInteger(usableForMs));
    // A gateway whose clock is behind by as much as iat may be ahead.
    const slow = (afterMs: number): ProofContext => ({
      ...contextOf(),
      nowMs: contextOf().nowMs + afterMs - 5_000,
    });
    t.equal(refusal(verifier(), proof, slow(usableForMs - 1)), undefined);
    t.equal(refusal(verifier(), proof, slow(usableForMs + 1)), 'iat');
  }
  const last = verifier({ futureIatSeconds: 0 }).verify(changed({ iat: NOW - 60 }), contextOf());
  t.equal(last.usableForMs, 1, 'never for no time at all');
});

t.test('D6 the headers that were used last are known, and their number has a bound', async (t) => {
  const headers = new RecentProofHeaders();
  const known = { ...readProofHeader(headerOf(key), POLICY.algorithms) } as KnownProofHeader;
  const add = (from: number, to: number): void => {
    for (let number = from; number < to; number++) headers.add(String(number), known);
  };
  const count = (to: number): number =>
    Array.from({ length: to }, (_, number) => String(number)).filter((name) => headers.get(name)).length;
  add(0, 100);
  t.equal(count(100), 100);
  add(100, 2_050);
  t.ok(headers.get('7'), 'in use');
  add(2_050, 4_050);
  t.ok(headers.get('7'), 'still in use');
  t.notOk(headers.get('8'), 'out of use');
  t.ok(headers.get('4049'), 'the last one');
  add(4_050, 20_000);
  t.ok(count(20_000) <= 4_000);
  headers.add('x'.repeat(2_049), known);
  t.notOk(headers.get('x'.repeat(2_049)), 'what is far too long for a key');
});

t.test('A5 a refusal has no data of the proof', async (t) => {
  const mark = randomUUID();
  const proofs = [
    changed({ header: { typ: mark } }),
    changed({ header: { alg: mark } }),
    changed({ header: { jwk: { kty: mark } } }),
    changed({ url: mark }),
    changed({ method: mark }),
    changed({ claims: { ath: mark } }),
    mark,
  ];
  for (const proof of proofs) {
    try {
      verifier().verify(proof, contextOf());
      t.fail('accepted');
    } catch (error) {
      t.notMatch(`${String(error)} ${JSON.stringify(error)}`, mark);
    }
  }
});
