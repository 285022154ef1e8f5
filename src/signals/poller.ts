/**
 * Takes the signals of one transmitter by polling it (RFC 8936). A signal is acknowledged only once it is taken, which is after
 * the store has its entry; one that cannot be taken now is neither acknowledged nor refused, so that the transmitter sends it
 * again. Rule V17. I/O by its parts.
 *
 * Acknowledgements travel in a request of their own that the transmitter responds to at once. Only a request without any is held
 * open, so that one that is cut off at the time limit leaves none in doubt.
 */
import type { Clock } from '../clock.ts';
import { pause } from '../revocation/abortable-delay.ts';
import { pollBody, readPollResponse, type OfferedSignal, type SetError } from './poll-exchange.ts';
import type { TransmitterCalls, TransmitterResponse } from './transmitter-calls.ts';
import { TransmitterError } from './transmitter-error.ts';

export interface PollPolicy {
  /** At most so many signals a poll. */
  readonly maxEvents: number;
  /** A transmitter that has nothing is asked so often. */
  readonly everyMs: number;
  /** So long a poll is held open; 0: not at all. */
  readonly waitMs: number;
  /** So long a poll may take that is not held open. */
  readonly timeoutMs: number;
}

/** What taking a signal came to. A rejection: it cannot be taken now. */
export type Taken =
  | { readonly kind: 'taken' | 'repeated' }
  | { readonly kind: 'refused'; readonly err: string; readonly description: string };

/** `held`: the transmitter had nothing for as long as it was waited. */
export type PollResult = 'signals' | 'empty' | 'held' | 'untaken' | 'failed';

export interface PollObserver {
  /** Of each poll. */
  polled(result: PollResult): void;
  /** Since the last success. @param times in a row */
  failed(error: TransmitterError, times: number): void;
  /** Signals were not taken, and will be sent again. */
  untaken(count: number, error: unknown): void;
  /** A poll has worked after one that has not. */
  works(): void;
  /** More signals were sent than asked for. */
  tooMany(leftOut: number): void;
}

export interface PollerParts {
  readonly policy: PollPolicy;
  /** Undefined: it is not known yet. */
  readonly url: () => string | undefined;
  readonly calls: Pick<TransmitterCalls, 'send'>;
  /** Resolves once the store has it. */
  readonly take: (token: string) => Promise<Taken>;
  /** Is it this gateway that polls? Of a fleet, one does. */
  readonly mayPoll: () => boolean;
  readonly clock: Clock;
  readonly observer: PollObserver;
  /** 0 to 1 */
  readonly random?: () => number;
}

/** How soon a gateway begins that becomes the one that polls. */
const LOOK_MS = 500;
const FIRST_RETRY_MS = 1_000;
export const MAX_RETRY_MS = 60_000;
/** Of the time that a poll may be held open: timers and clocks differ a little. */
const HELD_SHARE = 0.9;
/** Gateways and transmitters that failed together must not try again together. */
const JITTER = 0.25;
/** Signals that are taken at the same time: the store does its work for many at the price of one. */
const AT_A_TIME = 16;
/** Polls in a row that bring what was acknowledged or refused just now: the transmitter does not note what it is told, and must not be asked in a loop. */
const STUCK = 2;

const NOTHING_PENDING: Pending = { acknowledged: [], refused: new Map() };

interface Pending {
  readonly acknowledged: readonly string[];
  readonly refused: ReadonlyMap<string, SetError>;
}

export class Poller {
  readonly #parts: PollerParts;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #pending: Pending = NOTHING_PENDING;
  #failures = 0;
  /** Polls in a row that brought only what the one before had brought. */
  #idle = 0;
  /** Names of the signals of the last poll that had some. */
  #before: ReadonlySet<string> = new Set();
  /** The last poll was held open to the end, or has failed: the next one is not held open, and shows whether the transmitter is there. */
  #isInDoubt = false;
  /** Lower than configured once a response was too large to be read. */
  #maxEvents: number;

  constructor(parts: PollerParts) {
    this.#parts = parts;
    this.#maxEvents = parts.policy.maxEvents;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves once nothing is being taken any more. What was taken and not yet acknowledged is sent again, and is a repetition. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, url, mayPoll } = this.#parts;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const target = mayPoll() ? url() : undefined;
      // What is pending is another gateway's by now: to it the transmitter sends again what is not acknowledged.
      if (target === undefined) this.#pending = NOTHING_PENDING;
      const pauseMs = target === undefined ? LOOK_MS : await this.#round(target);
      if (pauseMs > 0) await pause(clock, pauseMs, signal);
    }
  }

  /** One poll, and what it brings. @returns how long to wait until the next one */
  async #round(url: string): Promise<number> {
    const { policy, clock, observer } = this.#parts;
    const startedAtMs = clock.monotonicMs();
    const waits = policy.waitMs > 0 && this.#pending === NOTHING_PENDING && !this.#isInDoubt;
    let response: ReturnType<typeof readPollResponse>;
    try {
      const { document } = await this.#send(url, waits);
      this.#pending = NOTHING_PENDING;
      response = read(document, this.#maxEvents);
    } catch (error) {
      if (this.#stopping.signal.aborted) return 0;
      const tookMs = clock.monotonicMs() - startedAtMs;
      return this.#failed(asTransmitterError(error), waits && tookMs >= policy.waitMs * HELD_SHARE);
    }
    this.#isInDoubt = false;
    const { offered, leftOut } = response;
    if (leftOut > 0) observer.tooMany(leftOut);
    if (offered.length === 0) return this.#nothing(waits, startedAtMs);
    this.#idle = offered.every(({ id }) => this.#before.has(id)) ? this.#idle + 1 : 0;
    this.#before = new Set(offered.map(({ id }) => id));
    return this.#taken(await this.#takeAll(offered), startedAtMs);
  }

  async #send(url: string, waits: boolean): Promise<TransmitterResponse> {
    const { policy, calls } = this.#parts;
    return calls.send({
      method: 'POST',
      url,
      body: pollBody({ ...this.#pending, maxEvents: this.#maxEvents, waits }),
      timeoutMs: waits ? policy.waitMs : policy.timeoutMs,
      signal: this.#stopping.signal,
    });
  }

  #failed(error: TransmitterError, wasHeld: boolean): number {
    const { observer } = this.#parts;
    if (wasHeld && error.failure === 'unreachable') {
      this.#isInDoubt = true;
      observer.polled('held');
      return 0;
    }
    // What works again shows at once.
    this.#isInDoubt = true;
    observer.polled('failed');
    if (error.failure === 'too_large') this.#maxEvents = Math.max(1, Math.floor(this.#maxEvents / 2));
    observer.failed(error, ++this.#failures);
    const asked = error.retryAfterSeconds ?? 0;
    return Math.max(this.#retryMs(), Math.min(asked * 1000, MAX_RETRY_MS));
  }

  #nothing(waited: boolean, startedAtMs: number): number {
    const { policy, observer } = this.#parts;
    this.#before = new Set();
    observer.polled('empty');
    this.#works();
    // After one that the transmitter had to respond to at once comes one that it may hold.
    return policy.waitMs > 0 && !waited ? 0 : this.#untilDueMs(startedAtMs);
  }

  #taken({ pending, untaken, error }: Outcome, startedAtMs: number): number {
    const { observer } = this.#parts;
    this.#pending = pending;
    observer.polled(untaken > 0 ? 'untaken' : 'signals');
    if (untaken > 0) {
      observer.untaken(untaken, error);
      this.#failures++;
      return this.#retryMs();
    }
    this.#works();
    return this.#idle >= STUCK ? this.#untilDueMs(startedAtMs) : 0;
  }

  #works(): void {
    if (this.#failures > 0) this.#parts.observer.works();
    this.#failures = 0;
  }

  #untilDueMs(startedAtMs: number): number {
    const { policy, clock } = this.#parts;
    return Math.max(0, startedAtMs + policy.everyMs - clock.monotonicMs());
  }

  #retryMs(): number {
    const { random = Math.random } = this.#parts;
    return Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), MAX_RETRY_MS) * (1 + JITTER * random());
  }

  async #takeAll(offered: readonly OfferedSignal[]): Promise<Outcome> {
    const acknowledged: string[] = [];
    const refused = new Map<string, SetError>();
    let untaken = 0;
    let lastError: unknown;
    const queue = offered.values();
    const takeSome = async (): Promise<void> => {
      // All share one iterator: each takes the next one that no other has.
      for (const { id, token } of queue) {
        try {
          const taken = token === undefined ? NO_TEXT : await this.#parts.take(token);
          if (taken.kind === 'refused') refused.set(id, { err: taken.err, description: taken.description });
          else acknowledged.push(id);
        } catch (error) {
          untaken++;
          lastError = error;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(AT_A_TIME, offered.length) }, takeSome));
    const hasPending = acknowledged.length + refused.size > 0;
    const pending = hasPending ? { acknowledged, refused } : NOTHING_PENDING;
    return { pending, untaken, error: lastError };
  }
}

interface Outcome {
  readonly pending: Pending;
  readonly untaken: number;
  readonly error: unknown;
}

const NO_TEXT: Taken = {
  kind: 'refused',
  err: 'invalid_request',
  description: 'The security event token is no text.',
};

/** @throws TransmitterError */
function read(
  document: TransmitterResponse['document'],
  maxEvents: number,
): ReturnType<typeof readPollResponse> {
  try {
    return readPollResponse(document, maxEvents);
  } catch (error) {
    throw new TransmitterError('unreadable', error instanceof Error ? error.message : String(error));
  }
}

/** Anything else would be a bug: it is told as one, and the poller goes on. */
function asTransmitterError(error: unknown): TransmitterError {
  return error instanceof TransmitterError
    ? error
    : new TransmitterError('unreadable', 'the poll has failed', { cause: error });
}
