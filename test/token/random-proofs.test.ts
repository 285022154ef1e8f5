/** Random proofs: the good ones pass, one thing wrong is one too many, and no text does harm. Rules D2 to D12, J17. */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { ProofNonces } from '../../src/token/dpop-nonce.ts';
import { ProofVerifier, type ProofContext } from '../../src/token/dpop-proof.ts';
import { ProofRefused, type ProofCheck } from '../../src/token/proof-refusal.ts';
import { proofKey, tokenHash, type ProofKey, type ProofOptions } from '../support/proofs.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 500);
const NOW = 1_800_000_000;
const [MAX_AGE, FUTURE_IAT, ROTATE_MS] = [60, 5, 60_000];

const keys = [proofKey('ES256'), proofKey('EdDSA'), proofKey('RS256'), proofKey('PS256')];
const stranger = proofKey();
const nonces = new ProofNonces({ secret: randomBytes(32), rotateMs: ROTATE_MS });
const verifier = new ProofVerifier({
  algorithms: ['ES256', 'PS256', 'RS256', 'EdDSA'],
  maxAgeSeconds: MAX_AGE,
  futureIatSeconds: FUTURE_IAT,
  nonces,
});

/** A proof that is to pass, and what it is for. */
interface Case {
  readonly key: ProofKey;
  readonly options: ProofOptions & { readonly token: string; readonly method: string };
  readonly context: ProofContext;
}

function anyCase(random: SeededRandom): Case {
  const key = random.of(keys);
  const token = `token-${random.below(1_000)}`;
  const method = random.of(['GET', 'POST', 'DELETE', 'M-SEARCH', 'get']);
  const host = random.of(['api.example.com', '[2001:db8::1]:8443', '127.0.0.1:8080']);
  const url = `${random.of(['http', 'https'])}://${host}/${random.of(['', 'a', 'a/b', 'a%2Fb', 'a;b//c', '~u'])}`;
  const spelling = random.of([url, `${url}?q=${random.below(9)}`, `${url}#f`, url.replace('~', '%7e')]);
  const options = {
    url: spelling,
    method,
    token,
    iat: NOW - MAX_AGE + random.below(MAX_AGE + FUTURE_IAT + 1),
    nonce: nonces.current(NOW * 1_000 + random.of([-1, 0, 1]) * ROTATE_MS),
    header: random.of([{}, { kid: 'k' }, { x5u: 'https://evil.example/' }]),
    claims: random.of([{}, { exp: NOW + 1 }, { nbf: NOW }, { sub: 'zoë', more: [{ a: 1 }] }]),
  };
  const context = { method, url, accessToken: token, keyThumbprint: key.thumbprint, nowMs: NOW * 1_000 };
  return { key, options, context };
}

type Fault = (of: Case, random: SeededRandom) => Partial<ProofOptions>;
const claim = ({ options }: Case, name: string, value: unknown): Partial<ProofOptions> => ({
  claims: { ...(options.claims as object), [name]: value },
});
const member = ({ options }: Case, name: string, value: unknown): Partial<ProofOptions> => ({
  header: { ...(options.header as object), [name]: value },
});
const NO_TEXT = [undefined, null, 7, true, [], ['x'], {}];
const NO_NUMBER = [undefined, null, '1800000000', true, [], [NOW], {}];

const faults: readonly (readonly [check: ProofCheck, fault: Fault])[] = [
  ['typ', (of, random) => member(of, 'typ', random.of([...NO_TEXT, 'JWT', 'dpop', 'dpop+jwt ', 'at+jwt']))],
  ['alg', (of, random) => member(of, 'alg', random.of(['none', 'HS256', 'ES384', 'es256', 'ML-DSA-44', '']))],
  ['form', (of, random) => member(of, 'alg', random.of(NO_TEXT))],
  ['form', (of) => member(of, 'crit', ['exp'])],
  ['jwk', (of, random) => member(of, 'jwk', random.of([...NO_TEXT, 'x', { kty: 'oct', k: 'AQ' }]))],
  ['jwk', (of, random) => member(of, 'jwk', { ...of.key.jwk, [random.of(['d', 'k', 'p', 'oth'])]: 'AQ' })],
  ['jkt', (of) => member(of, 'jwk', stranger.jwk)],
  ['claims', (of, random) => claim(of, 'jti', random.of([...NO_TEXT, '', 'x'.repeat(257)]))],
  ['claims', (of, random) => claim(of, random.of(['htm', 'htu', 'ath']), random.of(NO_TEXT))],
  ['claims', (of, random) => claim(of, 'iat', random.of(NO_NUMBER))],
  ['htm', (of, random) => claim(of, 'htm', `${of.options.method}${random.of([' ', 'X', '\0'])}`)],
  ['htm', (of) => claim(of, 'htm', of.options.method === 'get' ? 'GET' : of.options.method.toLowerCase())],
  ['htu', (of, random) => claim(of, 'htu', otherUrl(of.context.url, random))],
  ['ath', (of, random) => claim(of, 'ath', tokenHash(`${of.options.token}${random.of(['A', ' ', '='])}`))],
  ['ath', (of, random) => claim(of, 'ath', random.of(['', tokenHash(of.options.token).slice(1), 'x']))],
  ['iat', (_, random) => ({ iat: NOW - MAX_AGE - 1 - random.below(1_000_000) })],
  ['iat', (_, random) => ({ iat: NOW + FUTURE_IAT + 1 + random.below(1_000_000) })],
  ['lifetime', (of, random) => claim(of, 'exp', random.of([NOW, NOW - 60, 0, -1, null, 'x']))],
  ['lifetime', (of, random) => claim(of, 'nbf', random.of([NOW + FUTURE_IAT + 1, NOW * 1_000, null, 'x']))],
  ['nonce', (_, random) => ({ nonce: nonces.current(NOW * 1_000 + random.of([-3, -2, 2, 3]) * ROTATE_MS) })],
  ['nonce', (of, random) => claim(of, 'nonce', random.of([...NO_TEXT, '', 'A'.repeat(43)]))],
];

function otherUrl(url: string, random: SeededRandom): string {
  return random.of([
    url.replace(/^http(s?)/, (_, s: string) => (s === '' ? 'https' : 'http')),
    url.replace('//', '//evil.'),
    url.replace('//', '//user@'),
    `${url}/`,
    `${url}%2F`,
    `${url};`,
    `${url}%`,
    `${url}\\`,
    `${url}é`,
    '',
  ]);
}

function refusal(proof: string, context: ProofContext): ProofCheck | undefined {
  try {
    verifier.verify(proof, context);
    return undefined;
  } catch (error) {
    if (error instanceof ProofRefused) return error.check;
    throw error;
  }
}

t.test(
  `D3 D4 D5 D7 D8 D9 D10 D11 D12 of ${RUNS} random proofs each passes, and with one thing wrong none does`,
  async (t) => {
    t.comment(`FUZZ_SEED=${SEED}`);
    const random = new SeededRandom(SEED);
    const wrong: string[] = [];
    for (let run = 0; run < RUNS && wrong.length === 0; run++) {
      const one = anyCase(random);
      const good = one.key.proof(one.options);
      const passed = refusal(good, one.context);
      if (passed !== undefined) wrong.push(`${good} is refused for ${passed}`);
      const [check, fault] = faults[run % faults.length] as (typeof faults)[number];
      const bad = one.key.proof({ ...one.options, ...fault(one, random) });
      const found = refusal(bad, one.context);
      if (found !== check) wrong.push(`${bad} should be refused for ${check}, not for ${found}`);
    }
    t.strictSame(wrong, []);
  },
);

t.test(`D2 D6 of ${RUNS} changed texts none passes, and each is refused as a proof`, async (t) => {
  t.comment(`FUZZ_SEED=${SEED}`);
  const random = new SeededRandom(SEED + 1);
  const odd = [...'.,=+/-_ A%"{}\t\n\0é', '\u{1f600}', '', '..', 'eyJ', 'a'.repeat(9_000)];
  const accepted: string[] = [];
  for (let run = 0; run < RUNS; run++) {
    const { key, options, context } = anyCase(random);
    const proof = key.proof(options);
    const at = random.below(proof.length + 1);
    const changed = proof.slice(0, at) + random.of(odd) + proof.slice(at + random.below(3));
    if (changed !== proof && refusal(changed, context) === undefined) accepted.push(changed);
  }
  t.strictSame(accepted, []);
});
