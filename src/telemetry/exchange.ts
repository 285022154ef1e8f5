/**
 * The record of one request: how far it came and what was found out on the way. The pipeline writes it as it goes, so
 * that a request that fails half-way is known as far as it got. Metrics, log, traces and `explain` read it; nothing
 * that decides does (test/imports.test.ts).
 */
import type { Clock } from '../clock.ts';
import type { AuthReason } from '../errors.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { Route } from '../policy.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { UNMATCHED } from './metrics.ts';
import type { TraceContext } from './trace-context.ts';

export interface AuthDecision {
  readonly decision: 'allow' | 'deny' | 'error' | 'report' | 'fail_open';
  readonly reason: AuthReason;
}

/** How far a request came: the stage that it is in, or that refused it. */
export type StageName =
  | 'read_head'
  | 'match_route'
  | 'limit_address'
  | 'extract_token'
  | 'verify_token'
  | 'check_possession'
  | 'check_revocation'
  | 'authorize'
  | 'limit_caller'
  | 'choose_upstream'
  | 'sign_assertion'
  | 'rewrite_headers';

const NO_LIMITS: readonly string[] = [];

/** nginx's number for "the client has gone"; it is counted and logged, never sent. */
const CLIENT_CLOSED_REQUEST = 499;
/** Nor is this one sent: the gateway has failed the request. */
const CUT_OFF = 503;

/** The notes on one request. The gateway writes them as the stages go; telemetry reads them when the response has ended. */
export class Exchange {
  method: string;
  readonly startedAtMs: number;
  readonly peer: string;
  clientIp: string;
  requestId: string;
  trace: TraceContext | undefined;
  stage: StageName = 'read_head';
  /** When the part of the decision that is being timed began, on the monotonic clock. */
  timedSinceMs = 0;
  head: RequestHead | undefined;
  route: Route | undefined;
  /** Authentic and in time; whether it is revoked is not said. */
  token: AuthenticToken | undefined;
  /** Known for many a token that was refused, too. */
  issuerName: string | undefined;
  cache: 'hit' | 'miss' | undefined;
  decision: AuthDecision | undefined;
  /** The code of the GatewayError, or what a bug said. */
  failure: string | undefined;
  /** What the upstream's connection said, or what exactly is wrong with a token; for the log only. */
  failureCause: string | undefined;
  /** The scopes that the route needs, separated by spaces, where the token lacks one. */
  neededScope: string | undefined;
  /** The name of the limit that refused the request. */
  limit: string | undefined;
  /** The names of limits that would have refused it, but only report. */
  overLimits: readonly string[] = NO_LIMITS;
  status = 0;
  /** Its name, chosen for this request. */
  upstream: string | undefined;
  /** Set once a response of the upstream has begun: the response is not the gateway's own. */
  upstreamStatus: number | undefined;
  /** When a stream or a tunnel, which has no end of its own, began, on the monotonic clock. */
  lastingSinceMs: number | undefined;
  /** As the configuration writes it. */
  target: string | undefined;
  /** How often the request was sent to a target. */
  tries = 0;
  forwardedAtMs: number | undefined;
  upstreamMs: number | undefined;
  durationMs = 0;
  bytesIn = 0;
  bytesOut = 0;
  readonly #clock: Clock;

  constructor(method: string, peer: string, requestId: string, clock: Clock) {
    this.requestId = requestId;
    this.method = method;
    this.peer = peer;
    this.clientIp = peer;
    this.#clock = clock;
    this.startedAtMs = clock.monotonicMs();
  }

  get routeName(): string {
    return this.route?.name ?? UNMATCHED;
  }

  /** The request enters a stage. The time is taken where the first timed part of the decision begins. */
  enter(stage: StageName): void {
    this.stage = stage;
    if (stage === 'verify_token') this.timedSinceMs = this.#clock.monotonicMs();
  }

  /** The upstream's response has begun. */
  responded(status: number): void {
    this.status = status;
    this.upstreamStatus = status;
  }

  /** The response is a stream or a tunnel: how long it takes is its client's choice, and is no wait. */
  lasts(): void {
    this.lastingSinceMs ??= this.#clock.monotonicMs();
  }

  /** Nothing more comes. Where no response has begun, the client has gone, unless the gateway has cut it off. */
  ended(isCutOff: boolean): void {
    if (this.status > 0) return;
    if (isCutOff) this.cutOff();
    else this.clientGone();
  }

  /** The client has gone before its response was complete. */
  clientGone(): void {
    if (this.status === 0) this.status = CLIENT_CLOSED_REQUEST;
  }

  /** The gateway ends, and has not waited for the end of the response any longer: its client must not be blamed. */
  cutOff(): void {
    if (this.status === 0) this.status = CUT_OFF;
    this.failure ??= 'cut_off';
  }
}
