/**
 * Issuers that are nearly the same. `iss` is compared exactly (RFC 7519 section 4.1.1, RFC 8414 section 3.3), and one
 * character too many is the commonest mistake of a new configuration: the log and `explain` say which. Pure.
 */
import type { IssuerTemplate } from './issuer-template.ts';

export interface KnownIssuer {
  /** Its configured name. */
  readonly name: string;
  /** The exact iss; undefined where its tokens may have any. */
  readonly issuer: string | undefined;
  /** Where it is the issuer of many tenants. */
  readonly template?: IssuerTemplate | undefined;
}

/** Longer ones are not looked at: an issuer is a URL, and this runs on refused tokens. */
const MAX_ISSUER_CHARACTERS = 2_048;
const SCHEME = /^https?:\/\//i;

interface Spelling {
  readonly scheme: string;
  readonly bare: string;
  readonly slash: boolean;
  readonly spaces: boolean;
}

/** In which ways two texts for one issuer differ: fixed text. Undefined where they are the same, or two issuers. */
export function issuerDifferences(one: string, other: string): string | undefined {
  if (one === other || one.length > MAX_ISSUER_CHARACTERS || other.length > MAX_ISSUER_CHARACTERS)
    return undefined;
  const [a, b] = [spellingOf(one), spellingOf(other)];
  if (a.bare.toLowerCase() !== b.bare.toLowerCase()) return undefined;
  const sameScheme = a.scheme.toLowerCase() === b.scheme.toLowerCase();
  return [
    ...(sameScheme ? [] : ['http or https']),
    ...(a.slash === b.slash ? [] : ['a trailing slash']),
    ...(a.bare === b.bare && (!sameScheme || a.scheme === b.scheme) ? [] : ['upper and lower case']),
    ...(a.spaces === b.spaces ? [] : ['white space at an end']),
  ].join(' and ');
}

/**
 * Why a token's `iss` may be meant for an issuer of the configuration that it does not reach: fixed text with names of the
 * configuration, nothing of the token. Undefined where it has nothing to do with any.
 */
export function nearIssuerText(iss: string | undefined, known: readonly KnownIssuer[]): string | undefined {
  if (iss === undefined) return undefined;
  const same = known.find(({ issuer, template }) => (template ? template.tenantOf(iss) : issuer === iss));
  if (same) return `iss is that of issuers.${same.name}, whose JWTs this route does not accept`;
  for (const { name, issuer, template } of known) {
    if (template?.anyTenantOf(iss) !== undefined)
      return `iss is of a tenant that issuers.${name}.tenants does not list`;
    const differences =
      issuer === undefined ? undefined : issuerDifferences(iss, template?.nearestTo(iss) ?? issuer);
    if (differences !== undefined && differences !== '')
      return `iss is not exactly issuers.${name}.issuer: ${differences} differs`;
  }
  return undefined;
}

function spellingOf(text: string): Spelling {
  const trimmed = text.trim();
  const scheme = SCHEME.exec(trimmed)?.[0] ?? '';
  const rest = trimmed.slice(scheme.length);
  const slash = rest.endsWith('/');
  return { scheme, bare: slash ? rest.slice(0, -1) : rest, slash, spaces: trimmed !== text };
}
