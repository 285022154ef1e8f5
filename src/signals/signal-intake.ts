/**
 * Takes the security event tokens of one transmitter: verifies, finds what each event ends, and has the store take it before anything
 * is acknowledged. Push and poll stand in front of it. Rule V17.
 */
import { GatewayError, REVOCATION_NOT_STORED } from '../errors.ts';
import { isForGood, type RevocationTarget } from '../revocation/revocation-target.ts';
import type { Revoker, RevocationOutcome } from '../revocation/revoker.ts';
import { eventTime } from './event-time.ts';
import type { SecurityEventToken, SecurityEventTokenVerifier } from './security-event-token.ts';
import { endedBy, type EventName } from './signal-events.ts';
import type { SignalMemory } from './signal-memory.ts';
import { reasonOf } from './signal-reason.ts';
import { targetsOf, type TargetRules } from './signal-targets.ts';
import {
  SignalRefused,
  type SignalEvent,
  type SignalVerdict,
  type StreamEvents,
  type TakesSignals,
} from './signal-verdict.ts';
import { readSubject, type Subject } from './subject-identifier.ts';

/** What one event has led to. A closed list: it is a metric label. */
export const EVENT_RESULTS = ['ended', 'ignored', 'unmapped', 'repeated'] as const;
export type EventResult = (typeof EVENT_RESULTS)[number];

/** Hears what happens, for the log, the metrics and the audit lines. */
export interface SignalObserver {
  /** A token was verified. */
  heard(): void;
  counted(event: EventName, result: EventResult): void;
  unmapped(event: EventName, subject: Subject): void;
  ended(outcome: RevocationOutcome, from: string): void;
  refused(refusal: SignalRefused, from: string): void;
  /** Keys or the store were unavailable: the transmitter is to send it again. */
  unavailable(error: unknown, from: string): void;
}

export interface SignalIntakeParts {
  /** The configured name of the transmitter. */
  readonly transmitter: string;
  readonly verifier: SecurityEventTokenVerifier;
  readonly rules: TargetRules;
  readonly clockSkewSeconds: number;
  readonly revoker: Pick<Revoker, 'revoke'>;
  /** The clock by which the store judges cutoffs, in milliseconds. */
  readonly storeNowMs: () => Promise<number>;
  readonly memory: SignalMemory;
  readonly observer: SignalObserver;
  readonly streams?: StreamEvents | undefined;
}

/** One entry that is asked for. */
interface Ending {
  readonly target: RevocationTarget;
  /** In seconds. */
  readonly happenedAt: number;
  readonly reason: string;
}

/** An event with what it asks for. */
interface Judged {
  readonly event: SignalEvent;
  readonly result: EventResult;
  readonly subject: Subject | undefined;
  readonly endings: readonly Ending[];
}

/** Of one token, for each issuer in `for`: aliases times names. A signed token must not fill the list either. */
const MAX_ENDINGS = 64;
const TOO_MANY = new SignalRefused(
  'invalid_request',
  'The token names more subjects than are taken at a time.',
);

export class SignalIntake implements TakesSignals {
  readonly transmitter: string;
  readonly #parts: SignalIntakeParts;

  constructor(parts: SignalIntakeParts) {
    this.transmitter = parts.transmitter;
    this.#parts = parts;
  }

  async take(set: string, from: string): Promise<SignalVerdict> {
    const { observer } = this.#parts;
    try {
      return await this.#taken(set, from);
    } catch (error) {
      if (error instanceof SignalRefused) {
        observer.refused(error, from);
        return { kind: 'refused', err: error.err, description: error.message };
      }
      observer.unavailable(error, from);
      throw error instanceof GatewayError ? error : REVOCATION_NOT_STORED;
    }
  }

  refuse(refusal: SignalRefused, from: string): void {
    this.#parts.observer.refused(refusal, from);
  }

  async #taken(set: string, from: string): Promise<SignalVerdict> {
    const { verifier, streams, observer } = this.#parts;
    const token = await verifier.verify(set, from);
    const { jti, events } = token;
    const judged = events.map((event) => this.#judge(event, token));
    const most = MAX_ENDINGS * this.#parts.rules.issuers.length;
    if (judged.reduce((sum, { endings }) => sum + endings.length, 0) > most) throw TOO_MANY;
    for (const event of events) streams?.heard(event);
    const isRepeated = await this.#end(jti, judged, from);
    observer.heard();
    for (const { event, result, subject } of judged) {
      observer.counted(event.name, isRepeated ? 'repeated' : result);
      if (result === 'unmapped' && subject) observer.unmapped(event.name, subject);
    }
    return { kind: isRepeated ? 'repeated' : 'taken', jti, events };
  }

  #judge(event: SignalEvent, token: SecurityEventToken): Judged {
    const { rules, clockSkewSeconds } = this.#parts;
    const { name, payload } = event;
    const about = endedBy(name, payload);
    if (about === undefined) return { event, result: 'ignored', subject: undefined, endings: [] };
    const subject = readSubject(event.subject);
    const happenedAt = eventTime(payload, token, clockSkewSeconds);
    const reason = reasonOf(name, payload);
    const endings = targetsOf(about, subject, rules).map((target) => ({ target, happenedAt, reason }));
    return { event, result: endings.length > 0 ? 'ended' : 'unmapped', subject, endings };
  }

  /**
   * Resolves once the store has all of it. Where it fails half-way the token comes again, and what is there already stays as it is.
   *
   * @returns true where the token has had its effect before
   */
  async #end(jti: string, judged: readonly Judged[], from: string): Promise<boolean> {
    const { memory, storeNowMs } = this.#parts;
    const endings = judged.flatMap((each) => each.endings);
    if (endings.length === 0) return false;
    if (await memory.isKnown(jti)) return true;
    const nowSeconds = (await storeNowMs()) / 1000;
    for (const ending of endings) await this.#endOne(ending, nowSeconds, from);
    await memory.remember(jti);
    return false;
  }

  async #endOne({ target, happenedAt, reason }: Ending, nowSeconds: number, from: string): Promise<void> {
    const { revoker, observer, transmitter } = this.#parts;
    const outcome = await revoker.revoke({
      target,
      issuedBefore: isForGood(target.kind) ? undefined : Math.min(happenedAt, nowSeconds),
      createdBy: `signal:${transmitter}`,
      reason,
    });
    observer.ended(outcome, from);
  }
}
