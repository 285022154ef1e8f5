/** The name of a key that is made of the key itself: RFC 7638, and RFC 8037 section 2 for OKP. Pure. Rule D12. */
import { hash } from 'node:crypto';

/** The required members of each type of public key, in their order. */
const REQUIRED: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['EC', ['crv', 'kty', 'x', 'y']],
  ['OKP', ['crv', 'kty', 'x']],
  ['RSA', ['e', 'kty', 'n']],
]);

/**
 * The SHA-256 thumbprint of a public JWK, as its members are spelt.
 *
 * @returns undefined where it is no EC, OKP or RSA key, or a required member is no text
 */
export function keyThumbprint(jwk: Readonly<Record<string, unknown>>): string | undefined {
  const names = REQUIRED.get(jwk['kty']);
  if (!names?.every((name) => typeof jwk[name] === 'string')) return undefined;
  return hash('sha256', JSON.stringify(jwk, [...names]), 'base64url');
}
