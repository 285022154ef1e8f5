/**
 * What a token says, and why it was refused: for the holder of the token, in a dry run. Never the token itself,
 * and of claims only those that every token has.
 */
import type { TokenBinding } from '../token/token-binding.ts';
import { compileClaimNames } from '../assembly/compile-claim-names.ts';
import { isKeyIssuer, isOpaqueIssuer } from '../config/issuer-schema.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import type { AuthReason } from '../errors.ts';
import { dateText } from './format-date.ts';
import { compileClaimRules, satisfies, type ClaimRule } from '../token/claim-rules.ts';
import { givenClaim, numberOf, parseClaimPath, type JsonObject, type JsonValue } from '../token/claims.ts';
import { missingClaims } from '../token/claims-of-type.ts';
import { readJwt, type JwtText } from '../token/lexical-gate.ts';
import { toJson } from '../token/strict-json.ts';
import { kindClaimsOf } from '../token/token-kind.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';

/** Undefined for an opaque token, and for one that is not well-formed. */
export function jwtOf(token: string): JwtText | undefined {
  try {
    return readJwt(token);
  } catch {
    return undefined;
  }
}

/** What was verified. */
export function verifiedText(token: AuthenticToken, jwt: JwtText | undefined, nowMs: number): string {
  const { issuerName, subject, clientId, expiresAt, claims, hasEnded } = token;
  return [
    `issuer ${issuerName}`,
    ...(hasEnded ? [`key ${textOf(claims['jti'] ?? null)}`] : []),
    ...(jwt
      ? [`${jwt.algorithm}${jwt.keyId === undefined ? '' : ` by key ${JSON.stringify(jwt.keyId)}`}`]
      : []),
    ...(subject === undefined ? [] : [`sub ${JSON.stringify(subject)}`]),
    ...(clientId === undefined ? [] : [`client ${JSON.stringify(clientId)}`]),
    ...(expiresAt === undefined ? [] : [`expires ${dateText(expiresAt, nowMs)}`]),
  ].join(', ');
}

/** Why an authentic token, or one that is none, was refused. */
export const refusedText: typeof tokenRefusedText = (reason, jwt, issuer, ...more) =>
  keyRefusedText(reason, issuer) ?? tokenRefusedText(reason, jwt, issuer, ...more);

function tokenRefusedText(
  reason: AuthReason,
  jwt: JwtText | undefined,
  issuer: IssuerConfiguration | undefined,
  nowMs: number,
  resource?: string,
): string {
  const header = jwt?.header ?? {};
  const claims = jwt?.claims ?? {};
  const shown = (object: JsonObject, name: string): string =>
    object[name] === undefined ? `there is no ${name}` : `${name} is ${textOf(object[name])}`;
  switch (reason) {
    case 'malformed':
      return 'it is no well-formed token';
    case 'unknown_issuer':
      return jwt
        ? `${shown(claims, 'iss')}, which is no issuer that the route accepts`
        : 'no issuer that the route accepts takes such a token';
    case 'wrong_type':
      return issuer && isOpaqueIssuer(issuer)
        ? 'it is a refresh, ID or logout token: the token itself, or token_type, token_use or typ of the response, says so'
        : `${kindText(header, claims)}; token_type is ${issuer?.token_type ?? 'at+jwt'}${plainJwtAdvice(header, claims, issuer)}`;
    case 'wrong_audience':
      return resource === undefined
        ? `${shown(claims, 'aud')}; audiences are ${issuer?.audiences?.join(', ') ?? 'any'}`
        : `${shown(claims, 'aud')}; the route belongs to the resource ${resource}, which aud must hold`;
    case 'bad_signature':
      return `${shown(header, 'alg')}, and the token is not signed by a key of this issuer`;
    case 'unknown_key':
      return `${shown(header, 'kid')}: the issuer has no such key for ${textOf(header['alg'] ?? null)}`;
    case 'expired':
      return `it expired ${datedText(claims['exp'], nowMs)}; clock_skew is ${skewText(issuer)}`;
    case 'not_yet_valid':
      return `nbf is ${datedText(claims['nbf'], nowMs)}, iat ${datedText(claims['iat'], nowMs)}; clock_skew is ${skewText(issuer)}, future_iat ${(issuer?.future_iat ?? 0) / 1000} s`;
    case 'lifetime':
      return `it lives for longer than max_lifetime (${(issuer?.max_lifetime ?? 0) / 1000} s)`;
    case 'claim':
      return claimText(claims, issuer);
    case 'binding':
      return `${shown(claims, 'cnf')}, which cannot be checked`;
    case 'inactive':
      return 'its authorization server says that it is not active';
    case 'keys_unavailable':
      return 'the keys of its issuer are unavailable';
    case 'introspection_unavailable':
      return 'its authorization server gives no clear response about it, or may not be asked now (per_client, Retry-After)';
    default:
      return reason;
  }
}

/** Undefined for what is told of a key as of any token. */
function keyRefusedText(reason: AuthReason, issuer: IssuerConfiguration | undefined): string | undefined {
  if (reason === 'unknown_api_key')
    return 'no issuer of API keys that the route accepts has a key with this digest';
  return reason === 'expired' && issuer && isKeyIssuer(issuer) ? 'the key has expired' : undefined;
}

function claimText(claims: JsonObject, issuer: IssuerConfiguration | undefined): string {
  const rules = compileClaimRules(issuer?.claims ?? {});
  if (issuer && isOpaqueIssuer(issuer)) return opaqueClaimText(issuer, rules);
  const missing = [
    ...(issuer ? missingClaims(claims, issuer.token_type, compileClaimNames(issuer.claim_names)) : []),
    ...(issuer?.required_claims ?? []).filter((path) => {
      const value = givenClaim(claims, parseClaimPath(path));
      return value === undefined || value === null;
    }),
  ];
  if (missing.length > 0) return `it lacks ${[...new Set(missing)].join(', ')}`;
  const failed = rules.filter((rule) => !satisfies(rule, claims, '')).map(({ text }) => text);
  return failed.length > 0
    ? `it does not keep the rules of the issuer (claims): ${failed.join(', ')}`
    : 'a claim is not of the type that RFC 7519 and RFC 9068 give it';
}

/** A dry run does not see the response: it can only tell what was asked of it. */
function opaqueClaimText({ required_claims }: IssuerConfiguration, rules: readonly ClaimRule[]): string {
  const asked = [
    ...(required_claims.length > 0 ? [`has ${required_claims.join(', ')}`] : []),
    ...rules.map(({ text }) => text),
  ];
  const types = 'has a claim of another type than RFC 7519 gives it';
  return asked.length === 0
    ? `the response ${types}`
    : `the response ${types}, or not what the issuer asks for: ${asked.join(', ')}`;
}

/** What tells the kind of a token: `typ` of its header, and what of its claims names a kind. */
function kindText(header: JsonObject, claims: JsonObject): string {
  const typ = header['typ'] === undefined ? 'there is no typ' : `typ is ${textOf(header['typ'])}`;
  const named = kindClaimsOf(claims).map((name) => `, its claim ${name} is ${textOf(claims[name] ?? null)}`);
  return `${typ}${named.join('')}`;
}

/** What to do for a server that issues plain JWTs: its tokens say of themselves that they are nothing else. */
function plainJwtAdvice(
  header: JsonObject,
  claims: JsonObject,
  issuer: IssuerConfiguration | undefined,
): string {
  const { typ = 'JWT' } = header;
  const isPlain = typeof typ === 'string' && typ.toUpperCase() === 'JWT' && kindClaimsOf(claims).length === 0;
  return isPlain && issuer?.provider === undefined && issuer?.token_type === 'at+jwt'
    ? '. If these are the access tokens of your server, set provider: where there is one for it, or else token_type: any, with required_claims that its ID tokens do not have'
    : '';
}

const skewText = (issuer: IssuerConfiguration | undefined): string => `${(issuer?.clock_skew ?? 0) / 1000} s`;

/** What a token says of itself is attackers' text: as JSON, and not without end. */
export function textOf(value: JsonValue): string {
  const text = toJson(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

function datedText(value: JsonValue | undefined, nowMs: number): string {
  const seconds = numberOf(value);
  return seconds === undefined ? 'not known' : dateText(seconds, nowMs);
}

/** What the holder of a bound token has shown to hold. */
export function bindingText({ keyThumbprint, certificateThumbprint }: TokenBinding): string {
  return [
    ...(keyThumbprint === undefined ? [] : [`proved to hold the key ${keyThumbprint}`]),
    ...(certificateThumbprint === undefined ? [] : [`the certificate ${certificateThumbprint}`]),
  ].join(' and ');
}
