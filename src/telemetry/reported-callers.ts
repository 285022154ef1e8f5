/** Whom routes with `report_only` would have refused, and why: what enforcing a new rule would change. Rule A5. */
import type { Clock } from '../clock.ts';
import type { AuthReason } from '../errors.ts';
import { CountedCallers, MAX_NAME_CHARACTERS, type Counts } from './counted-callers.ts';

/** By route, client and reason. Nothing of a token but what refusals tell of it, too. */
export interface ReportedIdentity {
  readonly route: string;
  readonly reason: AuthReason;
  /** The configured name, where it is known. */
  readonly issuer: string | undefined;
  /** Of a verified token. */
  readonly clientId: string | undefined;
}

/** Plain data. */
export interface ReportedCaller extends ReportedIdentity, Counts {
  /** What the last one lacked: scopes, or which check has failed, in fixed text; empty where there is no more to say. */
  readonly lack: string;
}

/** A trial of a rule takes days: requests are told of for one to two of these. */
const WINDOW_MS = 24 * 3_600_000;

export class ReportedCallers {
  readonly #callers: CountedCallers<ReportedIdentity>;

  constructor(clock: Clock) {
    this.#callers = new CountedCallers(clock, WINDOW_MS);
  }

  add({ route, reason, issuer, clientId }: ReportedIdentity, lack: string): void {
    this.#callers.count(
      { route, reason, issuer, clientId: clientId?.slice(0, MAX_NAME_CHARACTERS) },
      lack.slice(0, MAX_NAME_CHARACTERS),
    );
  }

  /** Those with the most requests of the last one to two days come first. */
  top(limit: number): ReportedCaller[] {
    return this.#callers
      .most(limit)
      .map(({ identity, note: lack, requests, lastMs }) => ({ ...identity, lack, requests, lastMs }));
  }
}
