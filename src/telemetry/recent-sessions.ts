/**
 * Which sessions and subjects were seen lately, so that a person who revokes one learns whether it is the right one. Only tokens that an
 * issuer vouches for count, whether their request passes or not. Bounded; what was not seen for long is forgotten first.
 *
 * A token keeps its record (TokenMemo), so that a request with a known token adds to a number and writes a time. Rule A5.
 */
import type { Clock } from '../clock.ts';
import { TokenMemo } from '../token/token-memo.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { logHash } from './log-hash.ts';
import { SessionRecord, type SessionIdentity } from './session-record.ts';

/** What the configuration says (`sessions`, and the key of the hashes in the log). */
export interface SessionsPolicy {
  readonly show: 'off' | 'hashed' | 'plain';
  readonly addresses: boolean;
  /** Largest number of records. */
  readonly entries: number;
  readonly key: string;
}

/** One session, or a subject's requests by one client outside of any session. Plain data; times in seconds since 1970. */
export interface SessionReport {
  readonly issuer: string;
  readonly session?: string;
  readonly session_hash: string | null;
  readonly subject?: string;
  readonly subject_hash: string | null;
  readonly client_id: string | null;
  readonly first_seen: number;
  readonly last_seen: number;
  readonly requests_last_hour: number;
  readonly addresses?: readonly string[];
}

/** What is looked for: members that are undefined match all. */
export interface SessionQuery {
  /** The exact `iss`, or the configured name. */
  readonly issuer?: string | undefined;
  readonly subject?: string | undefined;
  readonly subjectHash?: string | undefined;
  readonly session?: string | undefined;
  readonly sessionHash?: string | undefined;
  readonly client?: string | undefined;
  readonly limit: number;
}

/** Longer texts are not kept; their hashes are. */
const MAX_CHARACTERS = 256;
/** A record that was not used for so long is not told of any more. */
const KEEP_MS = 86_400_000;
/** How many records that were used meanwhile are passed over for one that was not. */
const MAX_PASSED_OVER = 16;

const OFF: SessionsPolicy = { show: 'off', addresses: false, entries: 0, key: '' };

export class RecentSessions {
  readonly #clock: Clock;
  #policy = OFF;
  /** In the order in which they are to be forgotten. */
  #records = new Map<string, SessionRecord>();
  #queue = this.#records.values();
  #ofToken = new TokenMemo((token) => this.#recordOf(token));

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** False where the configuration says `sessions: off`. */
  get isOn(): boolean {
    return this.#policy.show !== 'off';
  }

  get size(): number {
    return this.#records.size;
  }

  /** Another configuration is in place: what it does not permit to keep is forgotten. */
  use(policy: SessionsPolicy): void {
    const before = this.#policy;
    this.#policy = policy;
    if (policy.show !== before.show || policy.key !== before.key) {
      this.#records = new Map();
      this.#queue = this.#records.values();
      this.#ofToken = new TokenMemo((token) => this.#recordOf(token));
    }
    for (const record of this.#records.values()) if (!policy.addresses) record.addresses = [];
    while (this.#records.size > policy.entries) this.#forgetOne();
  }

  /**
   * A request with this token has come.
   *
   * @param nowMs on the monotonic clock
   */
  saw(token: AuthenticToken, nowMs: number, address: string): void {
    const { show, addresses } = this.#policy;
    if (show === 'off') return;
    const known = this.#ofToken.of(token);
    if (known === undefined) return;
    const record = known.isListed ? known : this.#listed(known, nowMs);
    record.count(nowMs);
    if (addresses) record.cameFrom(address);
  }

  /** Those that were seen last come first. */
  search(query: SessionQuery): SessionReport[] {
    const { key } = this.#policy;
    const nowMs = this.#clock.monotonicMs();
    const wallMs = this.#clock.nowMs();
    const subjectHash = query.subject === undefined ? query.subjectHash : logHash(key, query.subject);
    const sessionHash = query.session === undefined ? query.sessionHash : logHash(key, query.session);
    const client = query.client?.slice(0, MAX_CHARACTERS);
    const isMeant = ({ identity, lastMs }: SessionRecord): boolean =>
      nowMs - lastMs < KEEP_MS &&
      (query.issuer === undefined ||
        query.issuer === identity.issuer ||
        query.issuer === identity.issuerName) &&
      (subjectHash === undefined || subjectHash === identity.subjectHash) &&
      (sessionHash === undefined || sessionHash === identity.sessionHash) &&
      (client === undefined || client === identity.clientId);
    return [...this.#records.values()]
      .filter(isMeant)
      .sort((one, other) => other.lastMs - one.lastMs)
      .slice(0, query.limit)
      .map((record) => this.#report(record, nowMs, wallMs));
  }

  #report(record: SessionRecord, nowMs: number, wallMs: number): SessionReport {
    const { issuer, session, sessionHash, subject, subjectHash, clientId } = record.identity;
    const seconds = (ms: number): number => Math.round(wallMs - nowMs + ms) / 1_000;
    return {
      issuer,
      ...(session === undefined ? {} : { session }),
      session_hash: sessionHash ?? null,
      ...(subject === undefined ? {} : { subject }),
      subject_hash: subjectHash ?? null,
      client_id: clientId ?? null,
      first_seen: seconds(record.firstMs),
      last_seen: seconds(record.lastMs),
      requests_last_hour: record.lastHour(nowMs),
      ...(this.#policy.addresses ? { addresses: record.addresses } : {}),
    };
  }

  /** Undefined where the token names no caller. Tokens of one session share a record. */
  #recordOf(token: AuthenticToken): SessionRecord | undefined {
    const identity = this.#identityOf(token);
    const { issuer, issuerName, subjectHash, sessionHash, clientId } = identity;
    if (subjectHash === undefined && sessionHash === undefined && clientId === undefined) return undefined;
    const key = JSON.stringify([issuer, issuerName, subjectHash, sessionHash, clientId]);
    return this.#records.get(key) ?? new SessionRecord(identity, key, this.#clock.monotonicMs());
  }

  #identityOf({ issuer, issuerName, subject, session, clientId }: AuthenticToken): SessionIdentity {
    const { key, show } = this.#policy;
    const hash = (text: string | undefined): string | undefined =>
      text === undefined ? undefined : logHash(key, text);
    const plain = (text: string | undefined): string | undefined =>
      show === 'plain' && text !== undefined && text.length <= MAX_CHARACTERS ? text : undefined;
    return {
      issuer,
      issuerName,
      subjectHash: hash(subject),
      sessionHash: hash(session),
      clientId: clientId?.slice(0, MAX_CHARACTERS),
      subject: plain(subject),
      session: plain(session),
    };
  }

  /** A record that is new, or was forgotten while its token was still known, comes into the table, if its session has none. */
  #listed(record: SessionRecord, nowMs: number): SessionRecord {
    const other = this.#records.get(record.key);
    if (other) return other;
    if (this.#records.size >= this.#policy.entries) this.#forgetOne();
    record.isListed = true;
    record.queuedMs = nowMs;
    this.#records.set(record.key, record);
    return record;
  }

  /** Forgets the oldest one of the queue that was not used since it was put there; those that were go to its end. */
  #forgetOne(): void {
    for (let passedOver = 0; ; passedOver++) {
      const oldest = this.#oldest();
      if (!oldest) return;
      this.#records.delete(oldest.key);
      if (oldest.lastMs <= oldest.queuedMs || passedOver === MAX_PASSED_OVER) {
        oldest.isListed = false;
        return;
      }
      oldest.queuedMs = oldest.lastMs;
      this.#records.set(oldest.key, oldest);
    }
  }

  /** One iterator goes on and on: a new one would walk over all that was deleted before its first record. */
  #oldest(): SessionRecord | undefined {
    const next = this.#queue.next();
    if (next.done !== true) return next.value;
    this.#queue = this.#records.values();
    return this.#queue.next().value;
  }
}
