/**
 * Reads the subject of a security event: identifiers of RFC 9493 and of OpenID SSF 1.0 section 3, and the spellings of older drafts
 * that transmitters still send. Pure.
 *
 * What has another format, or lacks a member of its own, names nothing: the event is counted as unmapped, and is no error.
 */
import { isJsonObject, stringClaim, textClaim, type JsonObject, type JsonValue } from '../token/claims.ts';

/** How a user is named: the closed list of formats that are read. `jwt_id` names one token. */
export const FORMATS = [
  'iss_sub',
  'email',
  'phone_number',
  'account',
  'opaque',
  'uri',
  'did',
  'jwt_id',
] as const;
export type Format = (typeof FORMATS)[number];

/** One identifier. Its value is text of the transmitter, and not empty (rule V16). */
export interface Identifier {
  readonly format: Format;
  /** Of iss_sub and jwt_id: whose name it is. */
  readonly issuer: string | undefined;
  readonly value: string;
}

export const MEMBERS = ['user', 'session', 'device', 'application', 'tenant', 'org_unit', 'group'] as const;
export type Member = (typeof MEMBERS)[number];

export interface Subject {
  /** Undefined: it is no complex subject, and the event says what it is. */
  readonly members: ReadonlyMap<Member, readonly Identifier[]> | undefined;
  /** Of a subject that is not complex; several are aliases. */
  readonly identifiers: readonly Identifier[];
  /** Has it members beside those that are read? */
  readonly hasOthers: boolean;
}

export function readSubject(value: JsonValue | undefined): Subject {
  if (!isJsonObject(value)) return { members: undefined, identifiers: [], hasOthers: false };
  const format = formatOf(value);
  // Drafts before SSF 1.0 gave a complex subject no format.
  const isComplex =
    format === 'complex' || (format === undefined && MEMBERS.some((name) => isJsonObject(value[name])));
  return isComplex
    ? complexSubject(value)
    : { members: undefined, identifiers: identifiersOf(value), hasOthers: false };
}

function complexSubject(value: JsonObject): Subject {
  const names = Object.keys(value).filter((name) => name !== 'format' && name !== 'subject_type');
  const known = MEMBERS.filter((name) => Object.hasOwn(value, name));
  return {
    members: new Map(known.map((name) => [name, identifiersOf(value[name])])),
    identifiers: [],
    hasOthers: names.length > known.length,
  };
}

/** All identifiers: of `aliases` each, else one. None where it cannot be read. */
function identifiersOf(value: JsonValue | undefined): Identifier[] {
  if (!isJsonObject(value)) return [];
  // RFC 9493 section 3.2.8: aliases within aliases must not be.
  const { identifiers } = value;
  if (formatOf(value) !== 'aliases') return identifierOf(value);
  return Array.isArray(identifiers) ? (identifiers as readonly JsonValue[]).flatMap(identifierOf) : [];
}

function identifierOf(value: JsonValue): Identifier[] {
  if (!isJsonObject(value)) return [];
  const format = FORMATS.find((name) => name === formatOf(value));
  if (format === undefined) return [];
  const text = textClaim(value, VALUE_MEMBERS[format]);
  const hasIssuer = format === 'iss_sub' || format === 'jwt_id';
  const issuer = hasIssuer ? stringClaim(value, 'iss') : undefined;
  if (text === undefined || text === '' || (hasIssuer && (issuer ?? '') === '')) return [];
  return [{ format, issuer, value: text }];
}

const VALUE_MEMBERS: Readonly<Record<Format, string>> = {
  iss_sub: 'sub',
  email: 'email',
  phone_number: 'phone_number',
  account: 'uri',
  opaque: 'id',
  uri: 'uri',
  did: 'url',
  jwt_id: 'jti',
};

/** RISC's transmitters of before SSF write `subject_type`, and hyphens (RISC 1.0, "Google Subject Type Value"). */
function formatOf(value: JsonObject): string | undefined {
  const text = stringClaim(value, 'format') ?? stringClaim(value, 'subject_type');
  const format = text?.replaceAll('-', '_');
  return format === 'phone' ? 'phone_number' : format;
}
