/**
 * The two messages of a poll: what the gateway asks and acknowledges, and what the transmitter gives. Pure. RFC 8936 sections 2.2
 * to 2.5.
 */
import { isJsonObject, type JsonValue } from '../token/claims.ts';

/** Why a signal is refused, as its transmitter is told. */
export interface SetError {
  readonly err: string;
  readonly description: string;
}

export interface PollRequest {
  /** 0: nothing is asked for, so that this only acknowledges. */
  readonly maxEvents: number;
  /** May the transmitter hold the request until it has something? */
  readonly waits: boolean;
  /** Names of signals that are in the store, or were before: the transmitter may forget them. */
  readonly acknowledged: readonly string[];
  /** By name: signals that are of no use, and why. */
  readonly refused: ReadonlyMap<string, SetError>;
}

/** A signal as a transmitter offers it. */
export interface OfferedSignal {
  /** By which the transmitter knows it: the `jti`, if it keeps to the specification. It is used to acknowledge, and for nothing else. */
  readonly id: string;
  /** Undefined: what stands in its place is no text. */
  readonly token: string | undefined;
}

export interface PollResponse {
  readonly offered: readonly OfferedSignal[];
  /** Beyond what was asked for: not looked at, and so sent again. */
  readonly leftOut: number;
}

export function pollBody({ maxEvents, waits, acknowledged, refused }: PollRequest): string {
  return JSON.stringify({
    maxEvents,
    returnImmediately: !waits,
    ...(acknowledged.length > 0 && { ack: acknowledged }),
    // A transmitter chooses the names: `__proto__` is one like any other.
    ...(refused.size > 0 && { setErrs: Object.fromEntries(refused) }),
  });
}

/**
 * `moreAvailable` is not looked at: after signals the next poll follows at once in any case, since it acknowledges them.
 *
 * @param document undefined: the response had no content, which some transmitters send for "nothing"
 * @throws Error with fixed text where it is no response to a poll
 */
export function readPollResponse(document: JsonValue | undefined, maxEvents: number): PollResponse {
  if (document === undefined) return { offered: [], leftOut: 0 };
  if (!isJsonObject(document)) throw new Error('the response to a poll is no JSON object');
  const { sets = {} } = document;
  if (!isJsonObject(sets)) throw new Error('"sets" of the response to a poll is no JSON object');
  const all = Object.entries(sets);
  const offered = all.slice(0, maxEvents).map(([id, token]) => ({
    id,
    token: typeof token === 'string' ? token : undefined,
  }));
  return { offered, leftOut: all.length - offered.length };
}
