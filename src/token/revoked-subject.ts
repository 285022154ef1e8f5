/**
 * Whom a global token revocation names: `sub_id`, a subject identifier (RFC 9493 section 3), and the target that stands for it. Pure.
 * draft-parecki-oauth-global-token-revocation-05, section 3.2.
 *
 * Strict: a member that is not understood could narrow what is asked, and nothing may end that was not meant.
 */
import { claimTargetValue, type RevocationTarget } from '../revocation/revocation-target.ts';
import { isJsonObject, stringClaim, type JsonObject, type JsonValue } from './claims.ts';
import { GlobalRevocationRefused } from './global-revocation-refusal.ts';
import { parseStrictJson } from './strict-json.ts';

/** How the tokens of an issuer name a user by an e-mail address: as their subject, or in a claim of `revocation.claims`. */
export type EmailTarget = { readonly kind: 'subject' } | { readonly kind: 'claim'; readonly path: string };

/** Whose subjects a request may name. */
export interface SubjectIssuer {
  /** The `iss` under which their tokens are known. */
  readonly issuer: string;
  /** The `iss` of the JWT that asks, which may stand for it. */
  readonly askedBy: string;
  /** Undefined: its tokens name no e-mail address. */
  readonly email: EmailTarget | undefined;
}

/**
 * @throws GlobalRevocationRefused `bad_body`, `unknown_format`, `other_issuer`
 */
export function revokedSubject(
  body: Uint8Array,
  { issuer, askedBy, email }: SubjectIssuer,
): RevocationTarget {
  const { sub_id: identifier, ...others } = objectOf(parsed(body));
  if (Object.keys(others).length > 0) throw new GlobalRevocationRefused('bad_body');
  const subject = objectOf(identifier);
  const subjectTarget = (value: string): RevocationTarget => ({ issuer, kind: 'subject', value });
  switch (subject['format']) {
    case 'iss_sub': {
      const { iss, sub } = membersOf(subject, ['iss', 'sub']);
      if (iss !== askedBy && iss !== issuer) throw new GlobalRevocationRefused('other_issuer');
      return subjectTarget(sub);
    }
    case 'opaque':
      return subjectTarget(membersOf(subject, ['id']).id);
    case 'email': {
      const { email: address } = membersOf(subject, ['email']);
      if (!email) throw new GlobalRevocationRefused('unknown_format');
      if (email.kind === 'subject') return subjectTarget(address);
      return { issuer, kind: 'claim', value: claimTargetValue(email.path, address) };
    }
    default:
      throw new GlobalRevocationRefused('unknown_format');
  }
}

function parsed(body: Uint8Array): JsonValue | undefined {
  try {
    return parseStrictJson(body);
  } catch {
    return undefined;
  }
}

function objectOf(value: JsonValue | undefined): JsonObject {
  if (!isJsonObject(value)) throw new GlobalRevocationRefused('bad_body');
  return value;
}

/** These members, and no others beside `format`. An empty one names nothing (rule V16). */
function membersOf<Name extends string>(subject: JsonObject, names: readonly Name[]): Record<Name, string> {
  const members = Object.fromEntries(names.map((name) => [name, stringClaim(subject, name) ?? '']));
  if (Object.keys(subject).length !== names.length + 1 || Object.values(members).includes(''))
    throw new GlobalRevocationRefused('bad_body');
  return members as Record<Name, string>;
}
