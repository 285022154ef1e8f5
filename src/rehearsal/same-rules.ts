/**
 * Are the rules by which a request was judged still the same? Then so is what they said of it, although its credentials are gone.
 * Where the earlier configuration is not known, a route of the same name is taken for unchanged in what this asks. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { isKeyIssuer, isOpaqueIssuer } from '../config/issuer-schema.ts';
import type { Configuration, IssuerConfiguration } from '../config/schema.ts';
import type { Policy, Route } from '../policy.ts';

/** What a rehearsal compares; `before` is undefined where the earlier configuration is not known. */
export interface Compared {
  readonly now: { readonly configuration: Configuration; readonly policy: Policy; readonly route: Route };
  readonly before:
    { readonly configuration: Configuration; readonly policy: Policy; readonly route: Route } | undefined;
  /** The name of the route before. */
  readonly routeBefore: string;
}

/** Does the route read credentials only where the one before did? */
export function readsNoMore({ now, before }: Compared): boolean {
  const { route } = now;
  const known = before?.route;
  const earlier = known?.mode === 'none' ? undefined : known;
  return (
    (route.senderConstrained === undefined || earlier?.senderConstrained !== undefined) &&
    hasNoOther(route.keyHeaders, earlier?.keyHeaders) &&
    (!route.webSocketProtocol || earlier?.webSocketProtocol === true)
  );
}

/**
 * The same for a request that brought no credentials that were known then.
 *
 * @param noProtocol nor was there a token in Sec-WebSocket-Protocol
 */
export function readsNoOtherFields({ now, before }: Compared, noProtocol: boolean): boolean {
  const { keyHeaders, webSocketProtocol } = now.route;
  return (
    hasNoOther(keyHeaders, before?.route.keyHeaders) &&
    (noProtocol || !webSocketProtocol || before?.route.webSocketProtocol === true)
  );
}

/** Does a token that was read before come out as the same one? */
export function readsTheSame(compared: Compared): boolean {
  const { now, before, routeBefore } = compared;
  if (!before) return now.route.name === routeBefore || reads(now.route) === reads(undefined);
  return reads(now.route) === reads(before.route) && now.policy.tokenBytes === before.policy.tokenBytes;
}

/** All by which credentials are told from each other, as text. */
function reads(route: Route | undefined): string {
  const { senderConstrained, mayHaveBars = false, keyHeaders = [], webSocketProtocol = false } = route ?? {};
  return JSON.stringify([
    senderConstrained !== undefined,
    mayHaveBars,
    [...keyHeaders].sort(),
    webSocketProtocol,
  ]);
}

function hasNoOther(names: ReadonlySet<string>, known: ReadonlySet<string> = new Set()): boolean {
  return [...names].every((name) => known.has(name));
}

/** Do the same issuers judge tokens in the same way, whatever the token? */
export function verifiesTheSame({ now, before }: Compared): boolean {
  if (!before || now.route.issuerSet !== before.route.issuerSet) return false;
  return (
    isDeepStrictEqual(now.configuration.revocation.claims, before.configuration.revocation.claims) &&
    // In their order: the first that fits judges.
    isDeepStrictEqual(now.route.issuers, before.route.issuers) &&
    now.route.issuers.every((name) => isSameIssuer(name, now.configuration, before.configuration))
  );
}

/** Is what a proof must say the same? */
export function provesTheSame({ now, before, routeBefore }: Compared): boolean {
  if (!before) return now.route.name === routeBefore;
  const urls = ({ listeners }: Configuration): unknown => listeners.map((listener) => listener.public_url);
  return (
    isDeepStrictEqual(now.configuration.dpop, before.configuration.dpop) &&
    isDeepStrictEqual(now.route.publicUrl, before.route.publicUrl) &&
    now.route.senderConstrained === before.route.senderConstrained &&
    isDeepStrictEqual(urls(now.configuration), urls(before.configuration))
  );
}

/**
 * What a route says of a token that its issuer has vouched for.
 *
 * @param issuer its configured name
 */
export function acceptanceOf(issuer: string, compared: Compared): 'accepted' | 'unknown_issuer' | undefined {
  const { now, before, routeBefore } = compared;
  const { issuers } = now.configuration;
  if (!now.route.issuers.includes(issuer))
    return isUnknownTo(now.route.issuers, issuer, compared) ? 'unknown_issuer' : undefined;
  if (verifiesTheSame(compared)) return 'accepted';
  if (!before && now.route.name === routeBefore) return 'accepted';
  if (before && !isUnchanged(issuer, compared)) return undefined;
  if (before && (now.route.fresh !== before.route.fresh || now.route.resource !== before.route.resource))
    return undefined;
  if (!before && (now.route.fresh || now.route.resource !== undefined)) return undefined;
  const others = now.route.issuers.filter((name) => name !== issuer);
  return others.every((name) => isApart(issuers[issuer], issuers[name])) ? 'accepted' : undefined;
}

/** Is it sure that no issuer of the route takes the token for one of its own? */
function isUnknownTo(names: readonly string[], issuer: string, compared: Compared): boolean {
  const { issuers } = compared.now.configuration;
  const own = issuers[issuer];
  if (own === undefined || ownIss(own) === undefined || !isUnchanged(issuer, compared)) return false;
  return names.every((name) => isApart(own, issuers[name]));
}

function isUnchanged(issuer: string, { now, before }: Compared): boolean {
  if (!before) return true;
  return (
    isDeepStrictEqual(now.configuration.revocation.claims, before.configuration.revocation.claims) &&
    isSameIssuer(issuer, now.configuration, before.configuration)
  );
}

function isSameIssuer(name: string, now: Configuration, before: Configuration): boolean {
  return now.issuers[name] !== undefined && isDeepStrictEqual(now.issuers[name], before.issuers[name]);
}

/** Can a token be of one of the two only, as its text says? API keys begin otherwise than tokens. */
function isApart(one: IssuerConfiguration | undefined, other: IssuerConfiguration | undefined): boolean {
  if (!one || !other) return false;
  if (isKeyIssuer(one) !== isKeyIssuer(other)) return true;
  const iss = ownIss(one);
  return iss !== undefined && ownIss(other) !== undefined && iss !== ownIss(other);
}

/** The one `iss` of its JWTs; undefined where they may have others, or none. */
function ownIss(issuer: IssuerConfiguration): string | undefined {
  if (isKeyIssuer(issuer) || isOpaqueIssuer(issuer) || issuer.no_iss === true) return undefined;
  return issuer.issuer?.includes('{') === true ? undefined : issuer.issuer;
}
