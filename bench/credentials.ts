/** The issuer and the tokens of the benchmark. */
import {
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  randomUUID,
  sign,
  type KeyObject,
} from 'node:crypto';

export type Algorithm = 'RS256' | 'ES256';

export interface Credentials {
  readonly algorithm: Algorithm;
  readonly issuer: string;
  readonly audience: string;
  readonly jwks: object;
  readonly publicPem: string;
  readonly privateKey: KeyObject;
}

export function createCredentials(algorithm: Algorithm = 'RS256'): Credentials {
  const { privateKey } =
    algorithm === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return credentialsOf(algorithm, privateKey);
}

export function credentialsOf(algorithm: Algorithm, privateKey: KeyObject): Credentials {
  const publicKey = createPublicKey(privateKey);
  return {
    algorithm,
    issuer: 'https://login.example.com',
    audience: 'https://api.example.com',
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: algorithm, use: 'sig' }] },
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }) as string,
    privateKey,
  };
}

export const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Of ES256 as JOSE wants it: both numbers, one behind the other. */
export function signatureOf(content: string, key: KeyObject): string {
  return sign('sha256', Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
}

/** An RFC 9068 access token, valid for an hour unless the claims say otherwise. */
export function createToken(
  { algorithm, issuer, audience, privateKey }: Credentials,
  claims: Record<string, unknown> = {},
): string {
  const iat = Math.floor(Date.now() / 1000);
  const content = `${encoded({ alg: algorithm, typ: 'at+jwt', kid: 'bench' })}.${encoded({
    iss: issuer,
    sub: 'user-4711',
    aud: audience,
    exp: iat + 3600,
    iat,
    jti: randomUUID(),
    scope: 'orders:read orders:write',
    client_id: 'web-shop',
    tenant: 'acme',
    roles: ['buyer', 'admin'],
    ...claims,
  })}`;
  return `${content}.${signatureOf(content, privateKey)}`;
}

/** The token with a signature that costs as much to check as a good one: a number that the key could have made. */
export function badlySigned(token: string): string {
  const dot = token.lastIndexOf('.');
  const signature = randomBytes(Buffer.from(token.slice(dot + 1), 'base64url').length);
  // Below the modulus of RSA, whose first bit is set.
  signature[0] = (signature[0] ?? 0) & 0x7f;
  return `${token.slice(0, dot)}.${signature.toString('base64url')}`;
}
