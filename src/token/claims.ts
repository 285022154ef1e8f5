/**
 * Claims and paths into them. Claims are attackers' text until they have been compared with something. Pure.
 */
import { RawNumber, type JsonObject, type JsonValue } from './strict-json.ts';

export type { JsonObject, JsonValue } from './strict-json.ts';

/** The levels of a dotted claim path. */
export type ClaimPath = readonly string[];

const CLAIM_PATH = /^(?:\\[.\\$]|[^.\\])+(?:\.(?:\\[.\\$]|[^.\\])+)*$/;

export function isClaimPath(text: string): boolean {
  return CLAIM_PATH.test(text);
}

/** Parses `realm_access.roles`; `\.` is a dot in a name, `\\` a backslash, `\$` a dollar. The configuration has validated it. */
export function parseClaimPath(path: string): ClaimPath {
  const names: string[] = [''];
  for (let index = 0; index < path.length; index++) {
    let char = path[index] ?? '';
    if (char === '.') {
      names.push('');
      continue;
    }
    if (char === '\\') char = path[++index] ?? '';
    names[names.length - 1] += char;
  }
  return names;
}

/** As the configuration writes it: what parseClaimPath() reads. */
export function claimPathText(path: ClaimPath): string {
  return path.map((name) => name.replaceAll(/[.\\]/g, '\\$&')).join('.');
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof RawNumber)
  );
}

/** Array.isArray, which forgets the type of a readonly array's members. */
function isArray(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** The value at a path, or undefined. Only a claim's own members count. */
export function claimAt(claims: JsonValue, path: ClaimPath): JsonValue | undefined {
  let value: JsonValue | undefined = claims;
  for (const name of path) {
    if (!isJsonObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

/** A claim as a string, undefined where it is anything else. */
export function stringClaim(claims: JsonObject, name: string): string | undefined {
  const value = claims[name];
  return typeof value === 'string' ? value : undefined;
}

/** Written otherwise, as 1e3, 1.0 or -0, one number has several texts, and an identifier must have one. */
const PLAIN_INTEGER = /^(?:0|[1-9][0-9]*)$/;

/**
 * An identifier as text: a string, or a plain integer by its digits, as servers with numbered users write it. The integer
 * 7 and the string "7" name the same subject. Undefined for anything else.
 */
export function textOf(value: JsonValue | undefined): string | undefined {
  if (typeof value === 'string') return value;
  const digits =
    value instanceof RawNumber ? value.source : typeof value === 'number' ? String(value) : undefined;
  return digits !== undefined && PLAIN_INTEGER.test(digits) ? digits : undefined;
}

export function isPlainText(value: JsonValue): boolean {
  return textOf(value) !== undefined;
}

/** As textOf, of a claim. */
export function textClaim(claims: JsonObject, name: string): string | undefined {
  return textOf(claims[name]);
}

/** The value at a path, where an empty `aud` counts as none: it names no audience (rules J2, J4). */
export function givenClaim(claims: JsonObject, path: ClaimPath): JsonValue | undefined {
  const value = claimAt(claims, path);
  return path.length === 1 && path[0] === 'aud' && isArray(value) && value.length === 0 ? undefined : value;
}

/** A claim as a finite number in the safe range (rule J12), undefined where it is anything else. */
export function numberOf(value: JsonValue | undefined): number | undefined {
  const number = value instanceof RawNumber ? value.value : value;
  return typeof number === 'number' && Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : undefined;
}

/** Scopes as issuers write them: a space-separated string (RFC 8693, 9068), or a list of strings. */
export function scopesIn(value: JsonValue): ReadonlySet<string> {
  const list = typeof value === 'string' ? value.split(' ') : isArray(value) ? value : [];
  return new Set(list.filter((scope): scope is string => typeof scope === 'string' && scope !== ''));
}

/** Does the claim equal, or contain, one of the allowed values? Types must agree: "1" is not 1. */
export function claimMatches(
  claim: JsonValue | undefined,
  allowed: readonly (string | number | boolean)[],
): boolean {
  if (isArray(claim)) return claim.some((member) => !isArray(member) && claimMatches(member, allowed));
  const value = claim instanceof RawNumber ? claim.value : claim;
  // Beyond the safe range different numbers have the same value: none of them is the allowed one for sure.
  if (typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER) return false;
  return allowed.some((candidate) => candidate === value);
}
