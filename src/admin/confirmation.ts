/**
 * Which gateways have a change of the list in force: what the API says with `confirm` and `wait=fleet`. Both ask the fleet the
 * same question, behind the change in the log. `confirm` asks once and takes 2 s at most; `wait=fleet` asks again while a
 * gateway that lives has not said yes, for 5 s at most. Rule V7.
 */
import type { Clock } from '../clock.ts';
import { pause } from '../revocation/abortable-delay.ts';
import type { RevocationMark } from '../revocation/mark.ts';
import type { ConfirmedJson } from './entry-json.ts';
import type { Fleet } from './fleet.ts';

/** How long `wait=fleet` may hold a response. */
export const WAIT_MS = 5_000;
/** Before a gateway that has not read so far is asked again. */
const AGAIN_MS = 50;

/** In the place of a name: the store does not say which gateways there are, so that nothing is said of others. */
export const OTHERS_UNKNOWN = 'others, if the store has lost their names';

/** How an answer is held: not at all, for one question, or until the fleet has it. */
export type Hold = 'none' | 'confirm' | 'fleet';

export interface ConfirmParts {
  readonly fleet: Pick<Fleet, 'ask'>;
  readonly clock: Clock;
}

/** @param changes in force at this gateway already: entries, and tombstones of those that were undone */
export async function confirmed(
  { fleet, clock }: ConfirmParts,
  changes: readonly Pick<RevocationMark, 'id' | 'version' | 'revoked'>[],
  hold: Exclude<Hold, 'none'>,
): Promise<ConfirmedJson> {
  const marks = changes.map(({ id, version, revoked }) => ({
    id,
    ...version,
    ...(!revoked && { undone: true }),
  }));
  const startedAtMs = clock.monotonicMs();
  const passedMs = (): number => clock.monotonicMs() - startedAtMs;
  /** By label: after how many milliseconds it said yes. */
  const yes = new Map<string, number>();
  for (;;) {
    const beganAtMs = passedMs();
    const waitMs = hold === 'fleet' ? WAIT_MS - beganAtMs : undefined;
    const { self, others, replies, isComplete } = await fleet.ask<'marks'>({ about: 'marks', marks }, waitMs);
    for (const { label, afterMs, reply } of replies)
      if (reply.inForce && !yes.has(label)) yes.set(label, beganAtMs + afterMs);
    const isBehind = replies.some(({ label }) => !yes.has(label));
    if (hold === 'fleet' && isBehind && passedMs() < WAIT_MS) {
      await pause(clock, AGAIN_MS, new AbortController().signal);
      continue;
    }
    const confirming = others.filter((label) => yes.has(label));
    return {
      gateways: others.length + 1,
      refuse: confirming.length + 1,
      slowest_ms: Math.ceil(Math.max(0, ...confirming.map((label) => yes.get(label) ?? 0))),
      by: [self, ...confirming].sort(),
      unconfirmed: [
        ...others.filter((label) => !yes.has(label)).sort(),
        ...(isComplete ? [] : [OTHERS_UNKNOWN]),
      ],
    };
  }
}
