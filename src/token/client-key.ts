/** The private key that the gateway signs its client assertions with (RFC 7523), from a JWK or PEM. */
import { createPrivateKey, type KeyObject } from 'node:crypto';

/** `CryptoKey` is a global of Node's, without a name to import. */
type CryptoKey = ReturnType<KeyObject['toCryptoKey']>;

export interface ClientKey {
  readonly key: CryptoKey;
  /** Undefined: the assertion names no key. */
  readonly keyId: string | undefined;
  readonly algorithm: string;
}

const MIN_RSA_BITS = 2048;

/** How WebCrypto names what an algorithm of RFC 7518 and RFC 8037 does. */
const IMPORTS: Readonly<
  Record<string, { readonly name: string; readonly hash?: string; readonly namedCurve?: string }>
> = {
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  RS384: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' },
  RS512: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  PS384: { name: 'RSA-PSS', hash: 'SHA-384' },
  PS512: { name: 'RSA-PSS', hash: 'SHA-512' },
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  ES384: { name: 'ECDSA', namedCurve: 'P-384' },
  ES512: { name: 'ECDSA', namedCurve: 'P-521' },
  EdDSA: { name: 'Ed25519' },
  Ed25519: { name: 'Ed25519' },
};

/** @throws TypeError that says what is wrong; it never holds a part of the key */
export function importClientKey(text: string): ClientKey {
  const jwk = jwkOf(text);
  let key: KeyObject;
  try {
    key = jwk ? createPrivateKey({ key: jwk, format: 'jwk' }) : createPrivateKey(text);
  } catch {
    throw new TypeError('the key is neither a private JWK nor PEM without a passphrase');
  }
  const usable = algorithmsOf(key);
  const algorithm = jwk?.['alg'] ?? usable[0];
  if (typeof algorithm !== 'string' || !usable.includes(algorithm))
    throw new TypeError(
      usable.length === 0
        ? `the key is none of RSA with ${MIN_RSA_BITS} bits or more, P-256, P-384, P-521 and Ed25519`
        : `the alg of the key is none of ${usable.join(', ')}, which it is for`,
    );
  const keyId = jwk?.['kid'];
  return {
    key: key.toCryptoKey(IMPORTS[algorithm] ?? '', false, ['sign']),
    keyId: typeof keyId === 'string' && keyId !== '' ? keyId : undefined,
    algorithm,
  };
}

function jwkOf(text: string): Record<string, unknown> | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new TypeError('the key is no JSON');
  }
}

/** What a key can sign by, the usual one first. */
function algorithmsOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string[] {
  switch (type) {
    case 'rsa':
      return (details?.modulusLength ?? 0) < MIN_RSA_BITS
        ? []
        : ['RS256', 'PS256', 'RS384', 'RS512', 'PS384', 'PS512'];
    case 'ec': {
      const curves: Record<string, string> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };
      const algorithm = curves[details?.namedCurve ?? ''];
      return algorithm === undefined ? [] : [algorithm];
    }
    case 'ed25519':
      return ['EdDSA', 'Ed25519'];
    default:
      return [];
  }
}
