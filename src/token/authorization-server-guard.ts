/**
 * Stands between the gateway and one authorization server for opaque tokens: asks it where it may be asked, and tells a
 * failure that concerns one token from one that concerns all. Rules I6, I11, C23.
 *
 * A response that arrived concerns its token alone, whatever its status: what one client can provoke must never
 * refuse the token of another.
 */
import type { Clock } from '../clock.ts';
import { unavailable } from '../auth-errors.ts';
import { type GatewayError } from '../errors.ts';
import { clientNetwork } from '../http/client-address.ts';
import { retryAfterSeconds } from '../http/retry-after.ts';
import { NoResponse } from './authorization-server-client.ts';
import { BusyPauses } from './busy-pauses.ts';
import { CircuitBreaker, type AuthorizationServerCall } from './circuit-breaker.ts';
import { ClientAllowance, type ClientLimits } from './client-allowance.ts';
import type { JsonObject } from './claims.ts';
import type { TokenCaller } from './token-verifier.ts';

/** What an authorization server says of a token. Anything that it does not say clearly is an error. */
export type Verdict = { readonly active: false } | { readonly active: true; readonly claims: JsonObject };

/** The authorization server gave no clear response about this token; that says nothing about any other token. */
export interface Unjudged {
  readonly active: undefined;
  /** 503: the token may be good. */
  readonly error: GatewayError;
}

/** A server that knows opaque tokens. */
export interface TokenStatusSource {
  /**
   * @param caller who presents the token
   * @throws NoResponse, Busy, or any other Error for a response that says nothing clear; never for a bad token
   */
  ask(token: string, caller: TokenCaller): Promise<Verdict>;
}

/** The authorization server asks the gateway to wait: 429, or 503 with Retry-After. */
export class Busy extends Error {
  override readonly name = 'Busy';
  /** The field as it came; empty where there is none. */
  readonly retryAfter: string;

  constructor(message: string, retryAfter: string) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/** @throws Busy where this status, with this Retry-After, asks for a pause */
export function refuseBusy({
  status,
  retryAfter,
}: {
  readonly status: number;
  readonly retryAfter: string;
}): void {
  if (status === 429 || (status === 503 && retryAfter !== ''))
    throw new Busy(`the authorization server is busy (${status})`, retryAfter);
}

export type AuthorizationServerCallResult =
  'active' | 'inactive' | 'error' | 'circuit_open' | 'busy' | 'limited';

const WAIT_WHERE_NONE_IS_NAMED_SECONDS = 1;
/**
 * However long the authorization server asks for: a forged or mistaken Retry-After must not shut an issuer for hours.
 */
const MAX_WAIT_SECONDS = 10;
const RETRY_AFTER_LIMIT_SECONDS = 1;

export interface AuthorizationServerGuardParts {
  readonly issuerName: string;
  readonly source: TokenStatusSource;
  readonly limits: ClientLimits;
  readonly clock: Clock;
  readonly count: (result: AuthorizationServerCallResult, error?: unknown) => void;
}

export class AuthorizationServerGuard {
  readonly #parts: AuthorizationServerGuardParts;
  readonly #circuit: CircuitBreaker;
  readonly #allowance: ClientAllowance;
  readonly #busy: BusyPauses;

  constructor(parts: AuthorizationServerGuardParts) {
    this.#parts = parts;
    this.#circuit = new CircuitBreaker(parts.clock);
    this.#allowance = new ClientAllowance(parts.limits, parts.clock);
    this.#busy = new BusyPauses(parts.clock);
  }

  /**
   * @param tokenKey stands for the token
   * @param client its address; those of one IPv6 /64 count as one client
   * @throws GatewayError 503 where the authorization server cannot be asked now, which says nothing about the token
   */
  async ask(token: string, tokenKey: string, client: string): Promise<Verdict | Unjudged> {
    const { clock, count } = this.#parts;
    const network = clientNetwork(client);
    const busySeconds = this.#busy.secondsLeft(network);
    if (busySeconds > 0) throw this.#refusal('busy', busySeconds);
    if (!this.#allowance.enter(network)) throw this.#refusal('limited', RETRY_AFTER_LIMIT_SECONDS);
    try {
      const pauseSeconds = this.#circuit.enter(network);
      if (pauseSeconds > 0) throw this.#refusal('circuit_open', pauseSeconds);
      const call = { token: tokenKey, client: network, startedAtMs: clock.monotonicMs() };
      this.#busy.begin(network);
      const verdict = await this.#call(token, call);
      if (verdict.active !== undefined) count(verdict.active ? 'active' : 'inactive');
      return verdict;
    } finally {
      this.#allowance.leave(network);
    }
  }

  async #call(token: string, call: AuthorizationServerCall): Promise<Verdict | Unjudged> {
    const { source, issuerName, count } = this.#parts;
    try {
      const verdict = await source.ask(token, { clientIp: call.client });
      this.#circuit.responded();
      return verdict;
    } catch (error) {
      count('error', error);
      const failure = (seconds: number): GatewayError =>
        unavailable('introspection_unavailable', seconds, { issuer: issuerName, cause: error });
      if (error instanceof NoResponse) {
        this.#circuit.failed(call, error.unreachable);
        const pause = Math.max(1, this.#circuit.pauseSeconds(call.client));
        if (error.unreachable) throw failure(pause);
        return { active: undefined, error: failure(pause) };
      }
      this.#circuit.responded();
      const waitSeconds = error instanceof Busy ? this.#wait(call, error.retryAfter) : 0;
      if (waitSeconds > 0) throw failure(waitSeconds);
      return { active: undefined, error: failure(1) };
    }
  }

  /** This client, or all where others are limited too, leave the authorization server alone for as long as it asks, in seconds. */
  #wait(call: AuthorizationServerCall, retryAfter: string): number {
    const { clock } = this.#parts;
    const asked = retryAfterSeconds(retryAfter, clock.nowMs()) ?? WAIT_WHERE_NONE_IS_NAMED_SECONDS;
    const seconds = Math.min(asked, MAX_WAIT_SECONDS);
    return this.#busy.add(call, seconds);
  }

  #refusal(result: AuthorizationServerCallResult, seconds: number): GatewayError {
    this.#parts.count(result);
    return unavailable('introspection_unavailable', seconds, { issuer: this.#parts.issuerName });
  }
}
