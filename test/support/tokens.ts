/** Signing keys, claims and tokens of test issuers. */
import { createHmac, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';

export type TestAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA';

export interface SigningKey {
  readonly algorithm: TestAlgorithm;
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** The public JWK. */
  readonly jwk: Record<string, unknown>;
}

export function createKey(algorithm: TestAlgorithm = 'ES256', kid: string = randomUUID()): SigningKey {
  const { publicKey, privateKey } =
    algorithm === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : algorithm === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' };
  return { algorithm, kid, privateKey, publicKey, jwk };
}

export const ISSUER = 'https://login.example.com';
export const AUDIENCE = 'https://api.example.com';

export const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** The claims of a valid RFC 9068 access token, with changes; undefined removes a claim. */
export function claimsOf(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const iat = nowSeconds();
  const claims: Record<string, unknown> = {
    iss: ISSUER,
    sub: 'alice',
    aud: AUDIENCE,
    client_id: 'web',
    iat,
    exp: iat + 600,
    jti: randomUUID(),
    scope: 'orders:read',
    ...changes,
  };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}

export function signText(content: string, key: SigningKey): string {
  const data = Buffer.from(content);
  switch (key.algorithm) {
    case 'EdDSA':
      return sign(null, data, key.privateKey).toString('base64url');
    case 'PS256':
      return sign('sha256', data, { key: key.privateKey, padding: 6, saltLength: 32 }).toString('base64url');
    default:
      return sign('sha256', data, { key: key.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  }
}

/** Signs a token. Header members that are undefined are left out; the payload may be text. */
export function mint(
  key: SigningKey,
  claims: Record<string, unknown> | string = claimsOf(),
  header: Record<string, unknown> = {},
): string {
  const full = { alg: key.algorithm, typ: 'at+jwt', kid: key.kid, ...header };
  const content = `${encode(full)}.${encode(claims)}`;
  return `${content}.${signText(content, key)}`;
}

export function mintHmac(
  secret: string | Buffer,
  claims = claimsOf(),
  header: Record<string, unknown> = {},
): string {
  const content = `${encode({ alg: 'HS256', typ: 'at+jwt', ...header })}.${encode(claims)}`;
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
}
