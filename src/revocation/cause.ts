/**
 * Why a token is refused: the entry that refuses it, who made it and why, as data and as one sentence. The log, `explain`, the admin
 * API and the page all say the same. It says what kind of thing was revoked, and never whose. Pure.
 */
import { durationText } from '../clock.ts';
import type { RevocationEntry } from './revocation-store.ts';
import type { TargetKind } from './revocation-target.ts';

/** What of an entry is told. */
export interface Cause {
  readonly id: string;
  /** Undefined: the entry was put back after the store had lost it, and does not say. */
  readonly kind: TargetKind | undefined;
  /** `created_by`: an operator, or `WORD:NAME` of what an authorization server has sent. */
  readonly createdBy: string;
  readonly reason: string | null;
  /** In seconds since 1970. */
  readonly createdAt: number;
}

/** Operators write what they like. */
const MAX_CHARACTERS = 256;

export function causeOf({ id, target, createdBy, reason, createdAt }: RevocationEntry): Cause {
  return {
    id,
    kind: target?.kind,
    createdBy: cut(createdBy),
    reason: reason === null ? null : cut(reason),
    createdAt,
  };
}

const KIND_WORDS: Readonly<Record<TargetKind, string>> = {
  token: 'token',
  token_id: 'token',
  session: 'session',
  subject: 'subject',
  client: 'client',
  claim: 'claim',
};

/** Such as "session revoked by signal session-revoked of login, 14 s ago". */
export function causeText({ kind, createdBy, reason, createdAt }: Omit<Cause, 'id'>, nowMs: number): string {
  const age = `${ageText(createdAt, nowMs)} ago`;
  if (kind === undefined) return `revoked by an entry that was restored, ${age}`;
  return `${KIND_WORDS[kind]} revoked by ${makerText(createdBy, reason)}, ${age}`;
}

/** Of a clock that is behind that of the store: now. */
export function ageSeconds(createdAt: number, nowMs: number): number {
  return Math.max(0, Math.floor(nowMs / 1000 - createdAt));
}

function ageText(createdAt: number, nowMs: number): string {
  return durationText(ageSeconds(createdAt, nowMs));
}

/** The words that `created_by` begins with where no operator has made the entry. */
const SENDERS: Readonly<Record<string, (name: string, reason: string | null) => string>> = {
  signal: signalText,
  'backchannel-logout': (name) => `logout of ${name}`,
  'global-token-revocation': (name, reason) => withReason(`global token revocation of ${name}`, reason),
};

function makerText(createdBy: string, reason: string | null): string {
  const colon = createdBy.indexOf(':');
  const word = createdBy.slice(0, Math.max(0, colon));
  const sender = Object.hasOwn(SENDERS, word) ? SENDERS[word] : undefined;
  return sender ? sender(createdBy.slice(colon + 1), reason) : withReason(`operator ${createdBy}`, reason);
}

/** The reason begins with the name of the event; behind a colon it has what the transmitter says of it. */
function signalText(transmitter: string, reason: string | null): string {
  const [event = '', ...said] = (reason ?? 'without a name').split(': ');
  return withReason(`signal ${event} of ${transmitter}`, said.length === 0 ? null : said.join(': '));
}

function withReason(text: string, reason: string | null): string {
  return reason === null ? text : `${text} (${reason})`;
}

function cut(text: string): string {
  return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}...` : text;
}
