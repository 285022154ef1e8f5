/**
 * Members of a fleet: the revocation store and view of a gateway, without the rest of it.
 */
import { once } from 'node:events';
import type { Test } from 'tap';
import { systemClock } from '../../src/clock.ts';
import type { RedisLocation } from '../../src/revocation/redis-connection.ts';
import { RedisStore } from '../../src/revocation/redis-store.ts';
import { RevocationView } from '../../src/revocation/revocation-view.ts';
import { until } from './gateway.ts';
import { revocationOf, tokenWith } from './one-token.ts';

export const REVOCATIONS = 500;

export interface Member {
  readonly store: RedisStore;
  readonly view: RevocationView;
  stop(): Promise<void>;
}

export async function join(t: Test, location: RedisLocation): Promise<Member> {
  const store = new RedisStore(location, systemClock);
  const view = new RevocationView(store, systemClock);
  const stop = async (): Promise<void> => {
    await view.stop();
    await store.close();
  };
  t.teardown(stop);
  view.start();
  await once(view, 'loaded');
  return { store, view, stop };
}

/** Revokes as the admin API does: acknowledged once the store holds it. Returns the acknowledged token ids. */
export async function revokeMany(by: Member, prefix: string, count = REVOCATIONS): Promise<string[]> {
  const acknowledged: string[] = [];
  const revoke = async (tokenId: string): Promise<void> => {
    try {
      const { entry } = await by.store.revoke(revocationOf(tokenId));
      by.view.apply([entry]);
      acknowledged.push(tokenId);
    } catch {
      // Not acknowledged, so no promise to keep.
    }
  };
  const ids = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  for (let from = 0; from < ids.length; from += 50) await Promise.all(ids.slice(from, from + 50).map(revoke));
  return acknowledged;
}

export const lostAt = ({ view }: Member, tokenIds: readonly string[]): number =>
  tokenIds.filter((tokenId) => !view.isRevoked(tokenWith(tokenId), undefined)).length;

/** Every acknowledged revocation is known to all members, and to a gateway that starts now. */
export async function expectNoneLost(
  t: Test,
  name: string,
  members: readonly Member[],
  location: RedisLocation,
  acknowledged: readonly string[],
): Promise<void> {
  for (const member of members)
    t.equal(lostAt(member, acknowledged), 0, `${name}: 0 lost during the failure`);
  await until(() => members.every(({ view }) => view.connected && view.ageMs < 1_000));
  // A member with an empty view finds what the others have put back. They may need a comparison or two.
  await until(async () => {
    const fresh = await join(t, location);
    const lost = lostAt(fresh, acknowledged);
    await fresh.stop();
    return lost === 0;
  });
  t.pass(`${name}: 0 of ${acknowledged.length} lost`);
}
