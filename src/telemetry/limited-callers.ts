/** Which callers met a limit most often lately, so that an operator sees at once who it is. Rule A5. */
import type { Clock } from '../clock.ts';
import { CountedCallers, MAX_NAME_CHARACTERS, type Counts } from './counted-callers.ts';

/** Who met which limit. Nothing of a token but what refusals tell of it, too. */
export interface LimitedIdentity {
  readonly limit: string;
  readonly mode: 'enforced' | 'reported';
  /** The configured name; undefined where the request was counted by its address. */
  readonly issuer: string | undefined;
  readonly clientId: string | undefined;
  readonly subjectHash: string | undefined;
  /** Of a request without a verified token. */
  readonly clientIp: string | undefined;
}

/** Plain data. */
export interface LimitedCaller extends LimitedIdentity, Counts {
  readonly route: string;
}

/** Requests are told of for one to two of these. */
const WINDOW_MS = 1_800_000;

export class LimitedCallers {
  readonly #callers: CountedCallers<LimitedIdentity>;

  constructor(clock: Clock) {
    this.#callers = new CountedCallers(clock, WINDOW_MS);
  }

  add(identity: LimitedIdentity, route: string): void {
    const { limit, mode, issuer, clientId, subjectHash, clientIp } = identity;
    this.#callers.count(
      { limit, mode, issuer, clientId: clientId?.slice(0, MAX_NAME_CHARACTERS), subjectHash, clientIp },
      route,
    );
  }

  /** Those with the most requests of the last half to whole hour come first. */
  top(limit: number): LimitedCaller[] {
    return this.#callers
      .most(limit)
      .map(({ identity, note: route, requests, lastMs }) => ({ ...identity, route, requests, lastMs }));
  }
}
