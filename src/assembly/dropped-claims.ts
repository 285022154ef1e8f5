/**
 * A claim that leaves `revocation.claims` would let the tokens pass that its entries refuse. A reload that drops one is
 * refused while such entries live; a start, which has nothing to fall back on, says how many of them refuse nothing.
 */
import type { Configuration } from '../config/schema.ts';
import { claimsInForce, type ClaimsInForce } from '../revocation/claims-in-force.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import type { RevocationView } from '../revocation/revocation-view.ts';
import type { Logger } from '../telemetry/logger.ts';

type WithClaims = Pick<Configuration, 'revocation'>;

/** One line for each claim that may not leave yet. Only a reload that drops a claim asks the store. */
export async function droppedClaimProblems(
  store: RevocationStore,
  before: WithClaims,
  after: WithClaims,
): Promise<string[]> {
  const dropped = before.revocation.claims.filter((claim) => !after.revocation.claims.includes(claim));
  if (dropped.length === 0) return [];
  let inForce: ClaimsInForce;
  try {
    inForce = await claimsInForce(store);
  } catch {
    return [
      `revocation.claims: the store is unavailable, so that it is unknown whether revocations name ${dropped.join(', ')}; keep it in the list until the store answers`,
    ];
  }
  const { entries, unnamed } = inForce;
  const named = dropped.flatMap((claim) => {
    const count = entries.get(claim) ?? 0;
    return count === 0
      ? []
      : [
          `revocation.claims: ${count} revocations in force name ${claim}; keep it in the list until they end`,
        ];
  });
  return named.length > 0 || unnamed === 0
    ? named
    : [
        `revocation.claims: ${unnamed} revocations that were put back do not say what they name, it may be ${dropped.join(', ')}; keep it in the list until they end`,
      ];
}

/** Warns, once the list is loaded, of entries in force whose claim is not looked at. */
export function reportUnlistedClaims(
  store: RevocationStore,
  view: RevocationView,
  logger: Logger,
  claims: () => readonly string[],
): void {
  const look = async (): Promise<void> => {
    // Whatever names a claim has a cutoff: where there is none, a long list need not be read again.
    if (view.cutoffs === 0) return;
    const { entries } = await claimsInForce(store);
    for (const [claim, count] of entries)
      if (!claims().includes(claim))
        logger.warn(
          { claim, entries: count },
          'revocations in force name a claim that is not looked at, and refuse nothing; add it to revocation.claims, or undo them',
        );
  };
  // The store was lost again meanwhile: the next list tells.
  const wait = (): void => void view.once('loaded', () => void look().catch(wait));
  wait();
}
