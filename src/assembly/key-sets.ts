/** The kinds of keys that an issuer may have, as its configuration asks for them. */
import { resolve } from 'node:path';
import { minSecretBytes, weakSecret } from '../config/algorithm-problems.ts';
import { KEY_SET_SOURCES } from '../config/key-sources.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import type { KeySetParts } from './issuer-key-sets.ts';
import { DEFAULT_ALGORITHMS, DEFAULT_HMAC_ALGORITHMS, type SignatureAlgorithm } from '../token/algorithms.ts';
import { KeyCacheFile } from '../token/key-cache-file.ts';
import { StaticKeySet, type KeySet } from '../token/key-set.ts';
import { importKeySet, secretKey, skippedText, type SkippedKey } from '../token/verification-key.ts';

/** What of an issuer, or of a transmitter of signals, says where its keys are. */
export type KeyedConfiguration = Pick<
  IssuerConfiguration,
  | 'issuer'
  | 'discovery'
  | 'jwks_url'
  | 'jwks_file'
  | 'jwks'
  | 'hmac_secret'
  | 'algorithms'
  | 'keys'
  | 'allow_http'
  | 'http'
>;

/** Undefined where the configuration names no folder for it. */
export function keyCache(
  name: string,
  { issuer = '', jwks_url: url, keys }: KeyedConfiguration,
  folder: string,
  { clock, observer }: KeySetParts,
): KeyCacheFile | undefined {
  if (keys.cache_dir === undefined) return undefined;
  return new KeyCacheFile({
    folder: resolve(folder, keys.cache_dir),
    issuerName: name,
    issuer,
    url,
    clock,
    failed: (file, problem) => observer.keyCacheFailed(name, file, problem),
  });
}

export function algorithmsOf(issuer: KeyedConfiguration): readonly SignatureAlgorithm[] {
  if (issuer.algorithms) return issuer.algorithms;
  return [
    ...(issuer.hmac_secret === undefined || hasKeySet(issuer) ? DEFAULT_ALGORITHMS : []),
    ...(issuer.hmac_secret === undefined ? [] : DEFAULT_HMAC_ALGORITHMS),
  ];
}

/** Has it public keys, perhaps beside a shared secret? */
export function hasKeySet(issuer: KeyedConfiguration): boolean {
  return KEY_SET_SOURCES.some((source) => issuer[source] !== undefined);
}

export function secretKeySet(secret: string, algorithms: readonly SignatureAlgorithm[]): KeySet {
  const needed = minSecretBytes(algorithms);
  if (Buffer.byteLength(secret) < needed) throw new TypeError(`the secret ${weakSecret(needed)}`);
  return new StaticKeySet([secretKey(secret, algorithms)], { ignoreKeyId: true });
}

/** What belongs into `jwks` and `jwks_file`, in a message. */
export const PUBLIC_KEYS = "the issuer's public keys, as a JWK Set,";

export function staticKeySet(
  source: string,
  document: unknown,
  algorithms: readonly SignatureAlgorithm[],
  skippedOf: (skipped: readonly SkippedKey[]) => void,
): KeySet {
  const unusable = (what: string): TypeError => new TypeError(`${source} ${what}; put ${PUBLIC_KEYS} there`);
  let imported: ReturnType<typeof importKeySet>;
  try {
    imported = importKeySet(document, algorithms);
  } catch (error) {
    throw unusable(`cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { keys, skipped } = imported;
  if (keys.length === 0)
    throw unusable(`has no usable key: ${skipped.map(skippedText).join('; ') || 'it is empty'}`);
  skippedOf(skipped);
  return new StaticKeySet(keys, { ignoreKeyId: false });
}
