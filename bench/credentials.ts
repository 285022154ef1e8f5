/** The issuer and the tokens of the benchmark. */
import { generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';

export interface Credentials {
  readonly issuer: string;
  readonly audience: string;
  readonly jwks: object;
  readonly publicPem: string;
  readonly privateKey: KeyObject;
}

export function createCredentials(): Credentials {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    issuer: 'https://login.example.com',
    audience: 'https://api.example.com',
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench', alg: 'RS256', use: 'sig' }] },
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }) as string,
    privateKey,
  };
}

/** An RFC 9068 access token, valid for an hour. */
export function createToken({ issuer, audience, privateKey }: Credentials): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const iat = Math.floor(Date.now() / 1000);
  const content = `${encode({ alg: 'RS256', typ: 'at+jwt', kid: 'bench' })}.${encode({
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
  })}`;
  return `${content}.${sign('sha256', Buffer.from(content), privateKey).toString('base64url')}`;
}
