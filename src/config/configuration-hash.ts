/**
 * A short hash of a configuration, by which gateways of a fleet can be compared. It is public, so no secret enters it:
 * a weak secret could be guessed from a hash of everything else. So it stays when only a secret is replaced.
 */
import { createHash } from 'node:crypto';
import type { Configuration } from './schema.ts';

/** Keys whose values are secrets, or may hold one, wherever they stand; with the private members of a JWK (RFC 7518). */
const SECRETS: ReadonlySet<string> = new Set([
  ...[
    'authorization',
    'client_secret',
    'hmac_secret',
    'key',
    'log_key',
    'password',
    'sentinel_password',
    'token',
    'value',
  ],
  ...['d', 'dp', 'dq', 'k', 'p', 'priv', 'q', 'qi'],
]);
/** What a URL may hold besides the place: name and password, and a query. */
const URL_SECRETS = /(?<=:\/\/)[^/@]*@|\?.*$/g;
const HEX_DIGITS = 16;

/** The same for configurations that differ in nothing but secrets, header values and the order of keys. */
export function configurationHash(configuration: Configuration): string {
  const text = JSON.stringify(configuration, (key, value: unknown) => {
    if (SECRETS.has(key) && typeof value === 'string') return 'a secret';
    if (key === 'headers' && isRecord(value)) return Object.keys(value).toSorted();
    if (typeof value === 'string' && value.includes('://')) return value.replace(URL_SECRETS, '');
    return isRecord(value) ? sorted(value) : value;
  });
  return createHash('sha256').update(text).digest('hex').slice(0, HEX_DIGITS);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sorted(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
