/** The canaries of this gateway: when it makes one, and in which of its processes it looks out for them. */
import { CanaryTurns } from '../admin/canary-turns.ts';
import { CanaryWatch } from '../admin/canary-watch.ts';
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { Canaries } from '../revocation/canaries.ts';
import { describeError } from '../telemetry/logger.ts';
import type { Generation, Lasting } from './generation.ts';
import type { Place } from './place.ts';

/** Undefined: it makes none. It still looks out for those of others. */
export function canaryEveryMs({ configuration }: LoadedConfiguration): number | undefined {
  const { every } = configuration.revocation.canary;
  return every === 'off' ? undefined : every;
}

export function canaryWatchOf(canaries: Canaries, place: Place, clock: Clock): CanaryWatch {
  return new CanaryWatch({
    store: place.store,
    clock,
    async look(digest) {
      const own = canaries.watch(digest);
      if (!place.lookOut) return [await own];
      // The primary serves nothing. It looks too, so that it knows which entry is a canary's.
      own.catch(() => undefined);
      return place.lookOut(digest);
    },
  });
}

/** @param generation the one that serves now */
export function canaryTurnsOf(
  {
    place,
    view,
    clock,
    log,
    canaryWatch,
    fleet,
  }: Pick<Lasting, 'place' | 'view' | 'clock' | 'log' | 'canaryWatch' | 'fleet'>,
  generation: () => Generation,
): CanaryTurns {
  return new CanaryTurns({
    ...{ fleet, clock, watch: canaryWatch, store: place.store },
    revoke: (digest) => generation().revoker.revokeCanary(digest),
    everyMs: () => canaryEveryMs(generation().loaded),
    failed(error) {
      // Not while the store is lost: that is logged where the list is followed.
      if (view.connected)
        log.logger.warn(
          { error: describeError(error) },
          'no canary could be revoked: the store does not take a change',
        );
    },
  });
}
