/**
 * Refusals that look like a mistake in the configuration: a log line each, seldom, whatever arrives. The access log has
 * the same text with every such request.
 */
import { faultOf } from '../token/proof-refusal.ts';
import type { Clock } from '../clock.ts';
import { TOO_MANY_PROOFS } from '../auth-errors.ts';
import { type AuthReason, type GatewayError } from '../errors.ts';
import { UNEXPECTED } from '../status-lists/issuer-lists.ts';
import type { Logger } from '../telemetry/logger.ts';

const REPEAT_MS = 600_000;
/** Details are fixed texts with names of the configuration: far fewer than that. */
const MAX_DETAILS = 1_000;
/** What only a client does wrong, or its issuer has decided, except where the gateway may have been told a wrong URL or too few algorithms. */
const ITS_CLIENTS: ReadonlySet<AuthReason | undefined> = new Set(['proof', 'step_up', 'status']);
const MAYBE_OURS: ReadonlySet<string> = new Set([
  faultOf('htu'),
  faultOf('alg'),
  TOO_MANY_PROOFS.detail ?? '',
  ...Object.values(UNEXPECTED),
]);

export class RefusalReports {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** By detail, on the monotonic clock. */
  readonly #saidAtMs = new Map<string, number>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  refused({ detail, reason, issuer }: GatewayError): void {
    if (detail === undefined || (ITS_CLIENTS.has(reason) && !MAYBE_OURS.has(detail))) return;
    const nowMs = this.#clock.monotonicMs();
    const what = `${issuer ?? ''} ${detail}`;
    if (nowMs - (this.#saidAtMs.get(what) ?? -Infinity) < REPEAT_MS) return;
    if (this.#saidAtMs.size >= MAX_DETAILS) this.#saidAtMs.clear();
    this.#saidAtMs.set(what, nowMs);
    this.#logger.warn(
      { issuer, reason, detail },
      'tokens are refused, maybe by a mistake in the configuration',
    );
  }
}
