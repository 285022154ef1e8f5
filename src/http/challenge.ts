/**
 * The WWW-Authenticate challenges of a refusal (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3, RFC 9728
 * section 5.1, RFC 9110 section 11.6.1). Pure. Rules B5, D15, P1.
 */
import type { ChallengeParams } from '../errors.ts';

export type Scheme = 'Bearer' | 'DPoP';

/** What the challenges of a route say besides what is wrong. Nothing of it comes from a request. */
export interface ChallengeRules {
  /** Printable ASCII without `"` and `\`, as the configuration guarantees. */
  readonly realm: string;
  /** A token may come as Bearer. */
  readonly bearer: boolean;
  /** The algorithms of proofs, separated by spaces; undefined: no token may come as DPoP. */
  readonly dpopAlgorithms: string | undefined;
  /** The scopes that the route needs, separated by spaces; empty: none. */
  readonly scope: string;
  /** The URL of the metadata of the protected resource; undefined where the route belongs to none. */
  readonly resourceMetadata: string | undefined;
}

/** Of a request that has no route, and of routes that say nothing else. */
export function plainChallenge(realm: string): ChallengeRules {
  return { realm, bearer: true, dpopAlgorithms: undefined, scope: '', resourceMetadata: undefined };
}

/**
 * Writes the challenges: one for each scheme that the route accepts, and in the one that the client has used, or should have
 * used, what is wrong. Each attribute once, always `realm`, nothing that the client sent.
 *
 * @param used the scheme of the credentials that are refused; where there are none, Bearer
 * @returns a field value for each, never none
 */
export function challengesOf(
  params: ChallengeParams,
  status: number,
  rules: ChallengeRules,
  used: Scheme,
): string[] {
  const scope = params.scope ?? (status === 401 ? rules.scope : '');
  const { bearer, dpopAlgorithms } = rules;
  const schemes: Scheme[] = [
    ...(bearer || dpopAlgorithms === undefined ? ['Bearer' as const] : []),
    ...(dpopAlgorithms === undefined ? [] : ['DPoP' as const]),
  ];
  // Where the route does not accept the scheme that was used, the client is told in the one that it accepts.
  const wanted = params.scheme ?? used;
  const to = schemes.includes(wanted) ? wanted : schemes[0];
  return schemes.map((scheme) => challenge(scheme, rules, scope, scheme === to ? params : undefined));
}

/** The scheme of the credentials in these Authorization lines, which decides how a client is told what is wrong with them. */
export function usedScheme([credentials, second]: readonly string[]): Scheme {
  return second === undefined && credentials !== undefined && /^dpop(?: |$)/i.test(credentials)
    ? 'DPoP'
    : 'Bearer';
}

/** The Bearer challenge of a place that accepts nothing else. */
export function bearerChallenge(realm: string, params: ChallengeParams): string {
  return challenge('Bearer', plainChallenge(realm), params.scope ?? '', params);
}

function challenge(
  scheme: Scheme,
  { realm, dpopAlgorithms, resourceMetadata }: ChallengeRules,
  scope: string,
  params: ChallengeParams | undefined,
): string {
  const attributes = [`realm="${realm}"`];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') attributes.push(`${name}="${quotable(value)}"`);
  };
  add('error', params?.error);
  add('scope', scope);
  add('acr_values', params?.acrValues);
  add('max_age', params?.maxAge);
  if (scheme === 'DPoP') add('algs', dpopAlgorithms);
  add('resource_metadata', resourceMetadata);
  return `${scheme} ${attributes.join(', ')}`;
}

/** Scope tokens contain neither `"` nor `\` (RFC 6749 section 3.3); this removes them from a configuration that does. */
function quotable(text: string): string {
  return text.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '');
}
