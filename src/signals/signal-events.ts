/**
 * Which security events end tokens, and what each is about: a session, a user or a device. All others are only counted. Pure.
 * OpenID CAEP 1.0 section 3, RISC 1.0 section 2, SSF 1.0 sections 8.1.4 and 8.1.5.
 */
import type { JsonObject } from '../token/claims.ts';

/** What an event says has happened to something. It decides which member of its subject counts first. */
export type About = 'session' | 'user' | 'device';

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/';
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/';

interface Rule {
  readonly about: About;
  /** Does an event with these members end tokens? */
  readonly ends: (payload: JsonObject) => boolean;
}

const always = (about: About): Rule => ({ about, ends: () => true });
/** What is new takes nothing from a thief; what was changed or removed may have been in the hands of one. */
const CREDENTIAL_CHANGES: ReadonlySet<unknown> = new Set(['revoke', 'update', 'delete']);

/** By the last part of the type's URI; undefined: it is only counted. */
const CAEP_EVENTS = {
  'session-revoked': always('session'),
  'credential-change': { about: 'user', ends: (event) => CREDENTIAL_CHANGES.has(event['change_type']) },
  'assurance-level-change': { about: 'user', ends: (event) => event['change_direction'] === 'decrease' },
  'device-compliance-change': {
    about: 'device',
    ends: (event) => event['current_status'] === 'not-compliant',
  },
  'token-claims-change': undefined,
  'session-established': undefined,
  'session-presented': undefined,
} as const satisfies Record<string, Rule | undefined>;

const RISC_EVENTS = {
  'account-disabled': always('user'),
  'account-purged': always('user'),
  // What RISC called session-revoked of all sessions of a user; deprecated, and still sent.
  'sessions-revoked': always('user'),
  'account-enabled': undefined,
  'account-credential-change-required': undefined,
  'credential-compromise': undefined,
  'identifier-changed': undefined,
  'identifier-recycled': undefined,
  'recovery-activated': undefined,
  'recovery-information-changed': undefined,
} as const satisfies Record<string, Rule | undefined>;

const SSF_EVENTS = { verification: undefined, 'stream-updated': undefined } as const;

export type EventName =
  | keyof typeof CAEP_EVENTS
  | keyof typeof RISC_EVENTS
  | keyof typeof SSF_EVENTS
  /** Any other type. */
  | 'other';

const RULES: ReadonlyMap<string, { readonly name: EventName; readonly rule: Rule | undefined }> = new Map(
  [
    [CAEP, CAEP_EVENTS],
    [RISC, RISC_EVENTS],
    [SSF, SSF_EVENTS],
  ].flatMap(([base, events]) =>
    Object.entries(events as Record<string, Rule | undefined>).map(
      ([name, rule]) => [`${base as string}${name}`, { name: name as EventName, rule }] as const,
    ),
  ),
);

/** All names: a closed list, fit for a metric label. */
export const EVENT_NAMES: readonly EventName[] = [...[...RULES.values()].map(({ name }) => name), 'other'];

/** Those that may end tokens. */
export const ENDING_EVENTS: readonly EventName[] = [...RULES.values()].flatMap(({ name, rule }) =>
  rule ? [name] : [],
);

/** The URIs of those that transmitters are asked for. */
export const ENDING_TYPES: readonly string[] = [...RULES].flatMap(([uri, { name, rule }]) =>
  rule && name !== 'sessions-revoked' ? [uri] : [],
);

/** The short name of an event type. */
export function eventName(uri: string): EventName {
  return RULES.get(uri)?.name ?? 'other';
}

const RULES_BY_NAME = new Map([...RULES.values()].map(({ name, rule }) => [name, rule]));

/** What the event ends tokens of; undefined: it ends none. */
export function endedBy(name: EventName, payload: JsonObject): About | undefined {
  const rule = RULES_BY_NAME.get(name);
  return rule?.ends(payload) === true ? rule.about : undefined;
}
