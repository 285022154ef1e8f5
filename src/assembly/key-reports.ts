/**
 * What happens to key sets, as metrics and log lines: once for each change, since the same set is read every few minutes
 * and the same failure comes back with every try.
 */
import type { Clock } from '../clock.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { SkippedKey } from '../token/verification-key.ts';

/** A failure that lasts is said again after this time, so that a log of the last minutes shows it. */
const REPEAT_MS = 600_000;

interface Failure {
  readonly text: string;
  readonly areKnown: boolean;
  /** On the monotonic clock. */
  readonly saidAtMs: number;
}

export class KeyReports {
  /** By issuer: when its keys were last fetched, in wall-clock time. */
  readonly successAtMs = new Map<string, number>();
  readonly #metrics: Metrics;
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** By issuer: the keys of its set that cannot be used, and why. */
  readonly #skipped = new Map<string, ReadonlySet<string>>();
  readonly #failures = new Map<string, Failure>();

  constructor(metrics: Metrics, logger: Logger, clock: Clock) {
    this.#metrics = metrics;
    this.#logger = logger;
    this.#clock = clock;
  }

  refreshed(issuer: string): void {
    this.#metrics.jwksRefreshes.child(issuer, 'success').value++;
    this.successAtMs.set(issuer, this.#clock.nowMs());
    if (this.#failures.delete(issuer)) this.#logger.info({ issuer }, 'the key set can be fetched again');
  }

  skipped(issuer: string, skipped: readonly SkippedKey[]): void {
    const said = this.#skipped.get(issuer);
    const told = new Set<string>();
    for (const { index, keyId, reason, digest } of skipped) {
      const what = `${digest} ${reason}`;
      told.add(what);
      if (said?.has(what) !== true)
        this.#logger.warn({ issuer, key: index, kid: keyId, reason }, 'a key of the key set cannot be used');
    }
    this.#skipped.set(issuer, told);
  }

  restored(issuer: string, ageMs: number): void {
    this.successAtMs.set(issuer, this.#clock.nowMs() - ageMs);
    this.#logger.warn(
      { issuer, age_seconds: Math.round(ageMs / 1000) },
      'the key set cannot be fetched: the keys that were saved last are used',
    );
  }

  /** @param areKnown keys that were fetched or saved before may be used still */
  failed(issuer: string, error: unknown, areKnown: boolean): void {
    this.#metrics.jwksRefreshes.child(issuer, 'failure').value++;
    const text = describeError(error);
    const nowMs = this.#clock.monotonicMs();
    const said = this.#failures.get(issuer);
    if (said?.text === text && said.areKnown === areKnown && nowMs - said.saidAtMs < REPEAT_MS) return;
    this.#failures.set(issuer, { text, areKnown, saidAtMs: nowMs });
    this.#logger.warn(
      { issuer, error: text, keys_known: areKnown },
      areKnown
        ? 'the key set cannot be fetched; keys that are known stay in use'
        : 'the key set cannot be fetched, and no keys are known: its tokens get 503 until it can',
    );
  }

  cacheFailed(issuer: string, file: string, problem: string): void {
    this.#logger.error({ issuer, file, problem }, 'the saved key set is not used, or cannot be saved');
  }
}
