/**
 * Which entries of the revocation list an event asks for: a table of what it is about, the members of its subject, and what the
 * configuration says that each names in a token. Pure.
 *
 * A list of entries has no conjunctions. So of a subject that names several things the narrowest that can be named is ended: never
 * less than the event means, and never a whole tenant because a device of it has no name here.
 */
import {
  claimTargetValue,
  targetId,
  type RevocationTarget,
  type TargetKind,
} from '../revocation/revocation-target.ts';
import type { RevocableIssuer } from '../revocation/entry-life.ts';
import type { About } from './signal-events.ts';
import type { Format, Identifier, Member, Subject } from './subject-identifier.ts';

/** `subject`, `session`, `client`, or the path of a claim by which tokens can be revoked. */
export type TokenName = string;
type UserFormat = Exclude<Format, 'jwt_id'>;
/** What identifiers of a user by their format, and other members by their name, are in a token; absent: nothing. */
export type NamesOfSubjects = Readonly<
  Partial<Record<UserFormat | Exclude<Member, 'user'>, readonly TokenName[] | undefined>>
>;

export interface TargetRules {
  /** Whose tokens may be ended. */
  readonly issuers: readonly RevocableIssuer[];
  /** The `iss` of a subject to the configured issuer that it stands for. */
  readonly issuerNames: Readonly<Record<string, string>>;
  readonly names: NamesOfSubjects;
  /** What ends where an event about a session names a user too. */
  readonly ends: 'session' | 'subject' | 'both';
}

/** Without doubles. None: no token can match. */
export function targetsOf(about: About, subject: Subject, rules: TargetRules): readonly RevocationTarget[] {
  const choices = choicesOf(about, subject, rules.ends);
  const targets = rules.issuers.flatMap((issuer) => {
    const named = choices.map((choice) => choice.flatMap((part) => partTargets(part, issuer, rules)));
    return named.find((each) => each.length > 0) ?? [];
  });
  return [...new Map(targets.map((target) => [targetId(target), target])).values()];
}

/** One member of a subject. */
interface Part {
  readonly member: Member;
  readonly identifiers: readonly Identifier[];
}

/** From the narrowest on. The parts of one choice are ended together. */
type Choice = readonly Part[];

/** A part that is missing is left to the next. */
const ORDER: Readonly<Record<About, readonly Member[]>> = {
  session: ['session', 'user', 'device'],
  user: ['user', 'session', 'device'],
  device: ['device', 'session', 'user'],
};

function choicesOf(about: About, subject: Subject, ends: TargetRules['ends']): readonly Choice[] {
  const { members, identifiers, hasOthers } = subject;
  // What stands alone is what the event is about; of a session nothing but the configuration says how it is named.
  if (!members) return [[{ member: about === 'device' ? 'device' : 'user', identifiers }]];
  const part = (member: Member): Choice => {
    const found = members.get(member);
    return found ? [{ member, identifiers: member === 'session' ? found.filter(isOneSession) : found }] : [];
  };
  const [only, second] = [...members.keys()];
  const isOne = only !== undefined && second === undefined && !hasOthers;
  if (isOne && !ORDER[about].includes(only)) return [part(only)];
  const order = about === 'session' && ends === 'subject' ? ORDER.user : ORDER[about];
  const choices = order.map(part);
  return about === 'session' && ends === 'both'
    ? [[...part('session'), ...part('user')], ...choices]
    : choices;
}

/** Keycloak writes so that all sessions of a user were ended. As the id of one it would end none, and be acknowledged (rule V13). */
const EVERY_SESSION = 'ALL';

function isOneSession({ value }: Identifier): boolean {
  return value !== EVERY_SESSION;
}

function partTargets(
  { member, identifiers }: Part,
  issuer: RevocableIssuer,
  rules: TargetRules,
): readonly RevocationTarget[] {
  return identifiers.flatMap((identifier) => {
    const iss = issOf(identifier, issuer, rules);
    if (iss === undefined) return [];
    if (identifier.format === 'jwt_id')
      return [{ issuer: iss, kind: 'token_id', value: identifier.value } as const];
    const names = rules.names[member === 'user' ? identifier.format : member] ?? [];
    return names.flatMap((name) => namedTarget(name, identifier.value, iss, issuer));
  });
}

/** By which `iss` an entry names the issuer's tokens; undefined where the identifier is of another issuer. */
function issOf(
  { issuer: named }: Identifier,
  { name, issuer, template }: RevocableIssuer,
  { issuerNames }: TargetRules,
): string | undefined {
  const whole = issuer ?? name;
  if (named === undefined || named === issuer) return whole;
  if (template?.tenantOf(named) !== undefined) return named;
  return Object.hasOwn(issuerNames, named) && issuerNames[named] === name ? whole : undefined;
}

const KINDS: ReadonlySet<string> = new Set<TargetKind>(['subject', 'session', 'client']);

/** Nothing where no token of the issuer has such a name (rule V13). */
function namedTarget(
  name: TokenName,
  value: string,
  iss: string,
  { unnamed }: RevocableIssuer,
): RevocationTarget[] {
  if (!KINDS.has(name)) return [{ issuer: iss, kind: 'claim', value: claimTargetValue(name, value) }];
  const kind = name as TargetKind;
  return unnamed.has(kind) ? [] : [{ issuer: iss, kind, value }];
}
