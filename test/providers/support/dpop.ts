/** A client’s key and its proofs for the token endpoint. RFC 9449 section 4.2. */
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { encode, nowSeconds } from '../../support/tokens.ts';

export interface DpopKey {
  /** The thumbprint that a bound token carries as cnf.jkt (RFC 7638). */
  readonly thumbprint: string;
  proof(method: string, url: string): string;
}

export function createDpopKey(): DpopKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { crv = '', kty = '', x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const jwk = { crv, kty, x, y };
  return {
    thumbprint: createHash('sha256').update(JSON.stringify(jwk)).digest('base64url'),
    proof(method, url) {
      const header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk });
      const content = `${header}.${encode({ jti: randomUUID(), htm: method, htu: url, iat: nowSeconds() })}`;
      const signature = sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${content}.${signature.toString('base64url')}`;
    },
  };
}
