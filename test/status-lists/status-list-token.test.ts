/** Which JWTs are status lists of an issuer: everything else is refused, and why is said. */
import t from 'tap';
import { ListRefused, ListVerifier, type ListPolicy } from '../../src/status-lists/status-list-token.ts';
import { systemClock } from '../../src/clock.ts';
import { StaticKeySet } from '../../src/token/key-set.ts';
import { importKeySet } from '../../src/token/verification-key.ts';
import { packed, signedList } from '../support/status-list-server.ts';
import { AUDIENCE, createKey, ISSUER, mint, nowSeconds, type SigningKey } from '../support/tokens.ts';

const URI = 'https://example.com/statuslists/1';
const key = createKey('ES256', '12');
const policy: ListPolicy = {
  issuerName: 'login',
  issuer: ISSUER,
  algorithms: ['ES256'],
  audiences: [AUDIENCE],
  clockSkewSeconds: 30,
  futureIatSeconds: 5,
};

function verifierFor(signer: SigningKey, more: Partial<ListPolicy> = {}): ListVerifier {
  const { keys } = importKeySet({ keys: [signer.jwk] }, ['ES256', 'EdDSA']);
  return new ListVerifier(
    { ...policy, ...more },
    new StaticKeySet(keys, { ignoreKeyId: false }),
    systemClock,
  );
}

const list = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): string =>
  signedList(key, URI, [0, 1, 2, 3], claims, header);
const refusalOf = async (text: string, by = verifierFor(key)): Promise<string> => {
  try {
    await by.verify(text, URI);
    return 'accepted';
  } catch (error) {
    if (error instanceof ListRefused) return error.refusal;
    throw error;
  }
};

t.test('a list of the issuer is read', async (t) => {
  const iat = nowSeconds();
  const claims = { iat, exp: iat + 60, ttl: 43_200 };
  const issued = await verifierFor(key).verify(list(claims), URI);
  t.match(issued, { issuedAt: iat, expiresAt: iat + 60, endsAt: iat + 90, ttlMs: 43_200_000 });
  t.strictSame(
    [0, 1, 2, 3].map((index) => issued.list.at(index)),
    [0, 1, 2, 3],
  );
  for (const [name, [more, header]] of Object.entries<[Record<string, unknown>, Record<string, unknown>?]>({
    'without exp and ttl': [{}],
    'the whole type': [{}, { typ: 'application/statuslist+jwt' }],
    'another case': [{}, { typ: 'StatusList+JWT' }],
    'the issuer by name, as earlier drafts have it': [{ iss: ISSUER }],
    'our audience': [{ aud: [AUDIENCE, 'x'] }],
    'further claims': [{ jti: 'x', aggregation: true }],
    'a ttl that is no whole number': [{ ttl: 0.5 }],
    'expired within the clock skew': [{ exp: nowSeconds() - 10 }],
  }))
    t.equal(await refusalOf(list(more, header)), 'accepted', name);
});

t.test('V18 everything else is refused', async (t) => {
  const good = list();
  const ofStatus = (status_list: unknown) => list({ status_list });
  const cases: Record<string, [text: string, refusal: string]> = {
    'no JWT': ['not a list', 'malformed'],
    'an unknown crit': [list({}, { crit: ['x'] }), 'malformed'],
    'without typ': [list({}, { typ: undefined }), 'wrong type'],
    'an access token': [list({}, { typ: 'at+jwt' }), 'wrong type'],
    'a plain JWT': [list({}, { typ: 'JWT' }), 'wrong type'],
    'a CWT by its type': [list({}, { typ: 'statuslist+cwt' }), 'wrong type'],
    'another key with the same kid': [signedList(createKey('ES256', '12'), URI, [0]), 'bad signature'],
    'an unknown kid': [signedList(createKey(), URI, [0]), 'unknown key'],
    'an algorithm that the issuer does not use': [
      signedList(createKey('EdDSA', '12'), URI, [0]),
      'bad signature',
    ],
    'a changed payload': [
      good.replace(/\.([^.]*)\./, (_, part: string) => `.${part.slice(0, -4)}AAAA.`),
      'malformed',
    ],
    'another sub': [list({ sub: 'https://example.com/statuslists/2' }), 'another uri in sub'],
    'a sub that differs in its end': [list({ sub: `${URI}/` }), 'another uri in sub'],
    'no sub': [list({ sub: undefined }), 'another uri in sub'],
    'another issuer': [list({ iss: 'https://evil.example' }), 'another issuer'],
    'an iss that is no text': [list({ iss: 1 }), 'another issuer'],
    'another audience': [list({ aud: 'https://other.example' }), 'another audience'],
    'an empty audience': [list({ aud: [] }), 'another audience'],
    'no iat': [list({ iat: undefined }), 'bad date'],
    'an iat that is text': [list({ iat: '1' }), 'bad date'],
    'an exp that is text': [list({ exp: '9999999999' }), 'bad date'],
    'a ttl of 0': [list({ ttl: 0 }), 'bad date'],
    'a ttl below 0': [list({ ttl: -1 }), 'bad date'],
    'a ttl that is text': [list({ ttl: '60' }), 'bad date'],
    expired: [list({ exp: nowSeconds() - 60 }), 'expired'],
    'from the future': [list({ iat: nowSeconds() + 60 }), 'not yet valid'],
    'not to be used yet': [list({ nbf: nowSeconds() + 60 }), 'not yet valid'],
    'no list': [ofStatus(undefined), 'bad status_list'],
    'a list that is text': [ofStatus('x'), 'bad status_list'],
    'no bits': [ofStatus({ lst: packed(1, [0]) }), 'bad status_list'],
    'three bits': [ofStatus({ bits: 3, lst: packed(1, [0]) }), 'bad status_list'],
    'bits that are text': [ofStatus({ bits: '1', lst: packed(1, [0]) }), 'bad status_list'],
    'no lst': [ofStatus({ bits: 1 }), 'bad status_list'],
    'an lst with padding': [ofStatus({ bits: 1, lst: `${packed(1, [0])}==` }), 'bad status_list'],
    'an lst that is no zlib': [ofStatus({ bits: 1, lst: 'AAAA' }), 'bad status_list'],
  };
  for (const [name, [text, refusal]] of Object.entries(cases)) t.equal(await refusalOf(text), refusal, name);
  t.equal(await refusalOf(mint(key)), 'wrong type', 'a good access token of the same issuer');
});

t.test('an audience is not compared where the issuer has none, as in its tokens', async (t) => {
  t.equal(await refusalOf(list({ aud: 'x' }), verifierFor(key, { audiences: undefined })), 'accepted');
});

t.test('the key of a list is found again among others, and not where it is gone', async (t) => {
  const issued = await verifierFor(key).verify(list(), URI);
  t.ok(verifierFor(key).signerOf(issued));
  t.equal(verifierFor(createKey('ES256', '12')).signerOf(issued), undefined, 'the same kid, another key');
  t.equal(verifierFor(key, { algorithms: ['EdDSA'] }).signerOf(issued), undefined);
});
