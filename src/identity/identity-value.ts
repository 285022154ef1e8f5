/**
 * What the configuration says about the value of an identity header: a claim path, a normalized claim such as `$subject`,
 * `$keys(path)`, or a list of which the first that is present counts. Pure. docs/identity.md. Rule J15.
 */
import { claimAt, isClaimPath, isJsonObject, parseClaimPath, type ClaimPath } from '../token/claims.ts';
import { encodeClaim, encodeText } from '../token/encode-claim.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';

/** As configured. */
export type IdentityText = string | readonly string[];

/** One place that a value can come from; undefined where the token has none there. */
type Source = (token: AuthenticToken) => string | undefined;

/** The value for a token, as it goes into a header; undefined: no header. */
export type IdentityValue = Source;

const NORMALIZED: Readonly<Record<string, Source>> = {
  $subject: ({ subject }) => encodeClaim(subject),
  $client: ({ clientId }) => encodeClaim(clientId),
  $scopes: ({ scopes }) => (scopes.size === 0 ? undefined : scopesText(scopes)),
  $session: ({ session }) => encodeClaim(session),
  $tenant: ({ tenant }) => encodeClaim(tenant),
  $issuer: ({ issuer }) => encodeClaim(issuer),
};

const KEYS_OF = /^\$keys\((.*)\)$/s;

/** The texts that isIdentityText accepts, for messages. */
export const NORMALIZED_NAMES = [...Object.keys(NORMALIZED), '$keys(path)'].join(', ');

/** Is this a claim path, a normalized claim, or `$keys(path)`? */
export function isIdentityText(text: string): boolean {
  if (!text.startsWith('$')) return isClaimPath(text);
  return Object.hasOwn(NORMALIZED, text) || isClaimPath(KEYS_OF.exec(text)?.[1] ?? '');
}

/** The configuration has validated the text. */
export function parseIdentityText(configured: IdentityText): IdentityValue {
  if (typeof configured === 'string') return sourceOf(configured);
  const sources = configured.map(sourceOf);
  return (token) => {
    for (const source of sources) {
      const value = source(token);
      if (value !== undefined && value !== '') return value;
    }
    return undefined;
  };
}

function sourceOf(text: string): Source {
  const normalized = Object.hasOwn(NORMALIZED, text) ? NORMALIZED[text] : undefined;
  if (normalized) return normalized;
  const keysOf = KEYS_OF.exec(text)?.[1];
  const path = parseClaimPath(keysOf ?? text);
  if (keysOf !== undefined) return ({ claims }) => encodeClaim(keysAt(claims, path));
  return ({ claims }) => encodeClaim(claimAt(claims, path));
}

/** The members of an object, but those that are null or false: what the rule `has_key` finds there. */
function keysAt(claims: AuthenticToken['claims'], path: ClaimPath): string[] | undefined {
  const value = claimAt(claims, path);
  if (!isJsonObject(value)) return undefined;
  return Object.keys(value).filter((key) => value[key] !== null && value[key] !== false);
}

/** Separated by spaces; a space within a scope is encoded, so that it does not make two of one. */
export function scopesText(scopes: ReadonlySet<string>): string {
  return [...scopes].map((scope) => encodeText(scope).replaceAll(' ', '%20')).join(' ');
}
