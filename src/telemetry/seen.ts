/** What this process has seen, for the admin API: the traffic's history, the latest refusals, recent sessions. */
import type { LastUses } from '../api-keys/last-uses.ts';
import type { Clock } from '../clock.ts';
import type { GatewayError } from '../errors.ts';
import type { Causes } from '../revocation/causes.ts';
import { TokenMemo } from '../token/token-memo.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import type { Exchange } from './exchange.ts';
import { LimitedCallers } from './limited-callers.ts';
import { logHash } from './log-hash.ts';
import type { Metrics } from './metrics.ts';
import { RecentSessions, type SessionsPolicy } from './recent-sessions.ts';
import { missingScope } from './missing-scope.ts';
import { RefusalRing } from './refusal-ring.ts';
import { ReportedCallers } from './reported-callers.ts';
import { TrafficHistory } from './traffic-history.ts';

export class Seen {
  readonly history: TrafficHistory;
  readonly refusals = new RefusalRing();
  readonly sessions: RecentSessions;
  readonly limited: LimitedCallers;
  readonly reported: ReportedCallers;
  readonly #clock: Clock;
  readonly #keys: LastUses | undefined;
  readonly #causes: Pick<Causes, 'refusingId'> | undefined;
  #key = '';
  #subjectHashes = this.#hashesOfSubjects();

  /**
   * @param keys notes when each API key was last used
   * @param causes knows which entry refuses a token
   */
  constructor(metrics: Metrics, clock: Clock, keys?: LastUses, causes?: Pick<Causes, 'refusingId'>) {
    this.#causes = causes;
    this.#keys = keys;
    this.#clock = clock;
    this.history = new TrafficHistory(metrics, clock);
    this.sessions = new RecentSessions(clock);
    this.limited = new LimitedCallers(clock);
    this.reported = new ReportedCallers(clock);
  }

  /** Requests are served from now on. */
  start(policy: SessionsPolicy): void {
    this.use(policy);
    this.history.start();
  }

  stop(): void {
    this.history.stop();
  }

  /** Another configuration is in place. */
  use(policy: SessionsPolicy): void {
    this.sessions.use(policy);
    if (policy.key === this.#key) return;
    this.#key = policy.key;
    this.#subjectHashes = this.#hashesOfSubjects();
  }

  /** The gateway responds with an error of its own. */
  refused(exchange: Exchange, error: GatewayError): void {
    const { token } = exchange;
    const subjectHash = token && this.#subjectHashes.of(token);
    const revocationId =
      token && error.reason === 'revoked'
        ? this.#causes?.refusingId(token.revocable, token.issuedAt)
        : undefined;
    this.refusals.add(exchange, error, { subjectHash, revocationId }, this.#clock.nowMs());
  }

  /** A route that only reports has let a request pass, and would have refused it. */
  passedReported(
    { token, issuerName, routeName }: Exchange,
    { reason, detail, challenge }: GatewayError,
  ): void {
    if (reason === undefined) return;
    const lacks = token && reason === 'insufficient_scope' ? missingScope(challenge?.scope, token) : detail;
    const identity = { route: routeName, reason, issuer: issuerName, clientId: token?.clientId };
    this.reported.add(identity, lacks ?? '');
  }

  /** A request has met a limit: it was refused (enforced), or would have been. */
  overLimit({ token, clientIp, routeName }: Exchange, limit: string, mode: 'enforced' | 'reported'): void {
    const identity = token
      ? { issuer: token.issuerName, clientId: token.clientId, subjectHash: this.#subjectHashes.of(token) }
      : { issuer: undefined, clientId: undefined, subjectHash: undefined };
    this.limited.add({ limit, mode, ...identity, clientIp: token ? undefined : clientIp }, routeName);
  }

  /**
   * An issuer vouches for the token of a request.
   *
   * @param nowMs on the monotonic clock
   */
  verified(token: AuthenticToken, nowMs: number, address: string): void {
    this.sessions.saw(token, nowMs, address);
    this.#keys?.note(token, nowMs);
  }

  #hashesOfSubjects(): TokenMemo<string | undefined> {
    return new TokenMemo(({ subject }) => (subject === undefined ? undefined : logHash(this.#key, subject)));
  }
}
