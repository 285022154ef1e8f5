/**
 * Where the tokens of an issuer keep the common facts about a caller: providers use other claims for the same thing. All
 * that decides by a subject, client, scope, session or tenant reads it here. Pure. Rules J2, V12, V16.
 *
 * A claim that is missing, null or `""` is absent; one of another type than text makes the token bad.
 */
import {
  claimAt,
  isPlainText,
  scopesIn,
  textOf,
  type ClaimPath,
  type JsonObject,
  type JsonValue,
} from './claims.ts';

/** Paths of the claims, for each kind of fact; none: its tokens do not say. Of several the first that is present counts. */
export interface ClaimNames {
  readonly subject: readonly ClaimPath[];
  readonly client: readonly ClaimPath[];
  readonly scopes: readonly ClaimPath[];
  readonly session: readonly ClaimPath[];
  readonly tenant: readonly ClaimPath[];
  /** When the holder logged in; never none. Each that is present counts. */
  readonly loginTime: readonly ClaimPath[];
}

/** The facts of one token; undefined where it does not say. */
export interface CallerFacts {
  readonly subject: string | undefined;
  readonly clientId: string | undefined;
  readonly scopes: ReadonlySet<string>;
  readonly session: string | undefined;
  readonly tenant: string | undefined;
}

export function callerFacts(claims: JsonObject, names: ClaimNames): CallerFacts {
  return {
    subject: textAt(claims, names.subject),
    clientId: textAt(claims, names.client),
    scopes: scopesAt(claims, names.scopes),
    session: textAt(claims, names.session),
    tenant: textAt(claims, names.tenant),
  };
}

/** What entries of the revocation list can name of a token: every claim of a kind counts, whichever is present first. */
export interface RevocableNames {
  readonly subjects: readonly string[];
  readonly sessions: readonly string[];
  readonly clients: readonly string[];
}

/**
 * Beside the issuer's own claims, `sub` and `sid` count: logout tokens have these. A kind without a claim has no name at
 * all.
 */
export function revocableNames(claims: JsonObject, { subject, session, client }: ClaimNames): RevocableNames {
  return {
    subjects: subject.length === 0 ? [] : textsAt(claims, [...subject, SUB]),
    sessions: session.length === 0 ? [] : textsAt(claims, [...session, SID]),
    clients: textsAt(claims, client),
  };
}

const SUB: ClaimPath = ['sub'];
const SID: ClaimPath = ['sid'];

/** What an identifier may be: a string, or also a plain integer, as servers with numbered users write it. */
export type IdentifierType = 'string' | 'string or integer';

/** Is each claim that names something text, and each claim with scopes text or a list of texts? */
export function namesAreTyped(
  claims: JsonObject,
  names: ClaimNames,
  subjectType: IdentifierType,
  otherType: IdentifierType,
): boolean {
  const areTyped = (paths: readonly ClaimPath[], type: IdentifierType): boolean =>
    paths.every((path) => isIdentifier(claimAt(claims, path), type));
  return (
    areTyped(names.subject, subjectType) &&
    areTyped(names.client, otherType) &&
    areTyped(names.session, otherType) &&
    areTyped(names.tenant, otherType) &&
    names.scopes.every((path) => isScopes(claimAt(claims, path)))
  );
}

/** Absent counts as typed. */
export function isIdentifier(value: JsonValue | undefined, type: IdentifierType): boolean {
  if (value === undefined || value === null) return true;
  return type === 'string' ? typeof value === 'string' : isPlainText(value);
}

function isScopes(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null || typeof value === 'string') return true;
  return Array.isArray(value) && value.every((scope) => typeof scope === 'string');
}

/** The first text at these paths. */
function textAt(claims: JsonObject, paths: readonly ClaimPath[]): string | undefined {
  for (const path of paths) {
    const text = textOf(claimAt(claims, path));
    if (text !== undefined && text !== '') return text;
  }
  return undefined;
}

/** The different texts at these paths, in their order. */
function textsAt(claims: JsonObject, paths: readonly ClaimPath[]): string[] {
  const texts = paths.flatMap((path) => textOf(claimAt(claims, path)) ?? []).filter((text) => text !== '');
  return texts.length < 2 ? texts : [...new Set(texts)];
}

const NO_SCOPES: ReadonlySet<string> = new Set();

function scopesAt(claims: JsonObject, paths: readonly ClaimPath[]): ReadonlySet<string> {
  for (const path of paths) {
    const value = claimAt(claims, path);
    if (value !== undefined && value !== null && value !== '') return scopesIn(value);
  }
  return NO_SCOPES;
}
