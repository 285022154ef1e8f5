/**
 * Whose turn it is to make a canary, and how it is made. The gateways of a fleet take turns without a leader: each waits
 * `revocation.canary.every` from when it last heard of one, and then a moment longer for each gateway that is before it in the
 * round. So the next one in the round makes it, and where that one is gone, the one after it. Two that make one at the same time
 * do no harm.
 *
 * First the others are asked to look out, which live gateways confirm; then it is revoked as anything is.
 */
import type { Clock } from '../clock.ts';
import { pause } from '../revocation/abortable-delay.ts';
import { newCanary } from '../revocation/canary.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import type { CanaryWatch } from './canary-watch.ts';
import type { Fleet } from './fleet.ts';
import type { FleetMember } from './fleet-member.ts';

/** Longer than the news of a canary takes to the others. */
const STEP_MS = 1_000;
/** How soon another configuration, and a store that is back, are noticed. */
const LOOK_MS = 5_000;

export interface CanaryTurnsParts {
  readonly fleet: Pick<Fleet, 'list' | 'ask' | 'label'>;
  readonly watch: CanaryWatch;
  readonly store: Pick<RevocationStore, 'nowMs'>;
  /** Resolves once the store has it. */
  readonly revoke: (digest: string) => Promise<void>;
  /** Undefined: this gateway makes none. */
  readonly everyMs: () => number | undefined;
  /** Is told when none could be made: once, until one is made again. */
  readonly failed: (error: unknown) => void;
  readonly clock: Clock;
}

export class CanaryTurns {
  readonly #parts: CanaryTurnsParts;
  #startedAtMs = 0;
  #hasFailed = false;

  constructor(parts: CanaryTurnsParts) {
    this.#parts = parts;
  }

  /** Takes its turns until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    this.#startedAtMs = clock.monotonicMs();
    while (!signal.aborted) {
      const dueInMs = this.#dueInMs;
      if (dueInMs > 0) await pause(clock, Math.min(dueInMs, LOOK_MS), signal);
      else await this.#takeTurn(signal);
    }
  }

  get #dueInMs(): number {
    const { everyMs, watch, clock } = this.#parts;
    return Math.max(watch.heardAtMs, this.#startedAtMs) + (everyMs() ?? Infinity) - clock.monotonicMs();
  }

  async #takeTurn(signal: AbortSignal): Promise<void> {
    const { fleet, watch, failed, clock } = this.#parts;
    try {
      const { members } = await fleet.list();
      await pause(clock, placeInRound(members, watch.last?.made_by) * STEP_MS, signal);
      if (!signal.aborted && this.#dueInMs <= 0) await this.#make();
    } catch (error) {
      if (!this.#hasFailed && !signal.aborted) failed(error);
      this.#hasFailed = true;
      await pause(clock, LOOK_MS, signal);
    }
  }

  /** @throws Error where the store is unavailable: then those that look out for it have nothing to tell */
  async #make(): Promise<void> {
    const { fleet, watch, store, revoke } = this.#parts;
    const canary = { digest: newCanary(), by: fleet.label, atMs: await store.nowMs() };
    void watch.heard(canary);
    await fleet.ask<'canary'>({ about: 'canary', canary });
    await revoke(canary.digest);
    this.#hasFailed = false;
  }
}

/**
 * How many gateways are before this one, counted round from the one after the last.
 *
 * @param last the label of the gateway that made the last canary; it need not be there any more
 */
export function placeInRound(
  members: readonly Pick<FleetMember, 'label' | 'isThis' | 'isLive' | 'report'>[],
  last: string | undefined,
): number {
  const round = members
    .filter(({ isLive, report }) => isLive && report.canary !== undefined)
    .toSorted((a, b) => (a.label < b.label ? -1 : 1));
  const first = Math.max(
    0,
    round.findIndex(({ label }) => last !== undefined && label > last),
  );
  return [...round.slice(first), ...round.slice(0, first)].findIndex(({ isThis }) => isThis);
}
