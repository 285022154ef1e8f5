/** What is wrong with the signature algorithms of an issuer: for keys that it has not, or not for this Node. */
import {
  isHmac,
  isSupported,
  KEY_REQUIREMENTS,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
} from '../token/algorithms.ts';
import { KEY_SET_SOURCES, SECRET_SOURCES } from './key-sources.ts';
import type { Problem } from './problem.ts';
import { stringsOf, type Path, type Raw } from './raw-document.ts';

export function algorithmProblems(issuer: Raw, path: Path): Problem[] {
  const algorithms = stringsOf(issuer['algorithms']).filter((a): a is SignatureAlgorithm =>
    (SIGNATURE_ALGORITHMS as readonly string[]).includes(a),
  );
  const message = unfitText(issuer, algorithms) ?? unsupportedText(algorithms);
  if (message !== undefined) return [{ path: [...path, 'algorithms'], message }];
  const secret = issuer['hmac_secret'];
  if (typeof secret !== 'string') return [];
  const needed = minSecretBytes(algorithms);
  return Buffer.byteLength(secret) < needed
    ? [{ path: [...path, 'hmac_secret'], message: weakSecret(needed) }]
    : [];
}

/** Each algorithm needs a key of its kind, and each kind of key an algorithm. */
function unfitText(issuer: Raw, algorithms: readonly SignatureAlgorithm[]): string | undefined {
  const shared = SECRET_SOURCES.some((source) => issuer[source] !== undefined);
  const both = shared && KEY_SET_SOURCES.some((source) => issuer[source] !== undefined);
  if (both) {
    if (new Set(algorithms.map(isHmac)).size !== 1) return undefined;
    const unused = algorithms.some(isHmac) ? 'the key set' : 'the shared secret';
    return `leaves ${unused} unused: HS* is for the secret, everything else for the key set; add an algorithm for it, or remove it`;
  }
  const misplaced = algorithms.filter((algorithm) => isHmac(algorithm) !== shared);
  if (misplaced.length === 0) return undefined;
  return shared
    ? `${misplaced.join(', ')} cannot be used with a shared secret; keep HS256, HS384, HS512 only`
    : `${misplaced.join(', ')} needs a shared secret; remove it, or configure hmac_secret_file`;
}

/** @param supports whether this Node can compute it */
export function unsupportedText(
  algorithms: readonly SignatureAlgorithm[],
  supports: (algorithm: SignatureAlgorithm) => boolean = isSupported,
): string | undefined {
  const missing = algorithms.filter((algorithm) => !supports(algorithm));
  return missing.length === 0
    ? undefined
    : `${missing.join(', ')} cannot be checked by this Node, whose OpenSSL is older than 3.5; use a Node with a newer one, or remove it`;
}

/** The shortest secret that serves all these algorithms, in bytes (RFC 7518 section 3.2). */
export function minSecretBytes(algorithms: readonly SignatureAlgorithm[]): number {
  return Math.max(32, ...algorithms.map((algorithm) => KEY_REQUIREMENTS[algorithm].minSecretBytes ?? 0));
}

export function weakSecret(neededBytes: number): string {
  return `is too short: these algorithms need at least ${neededBytes} bytes (RFC 7518 section 3.2); make one with: openssl rand -base64 48`;
}
