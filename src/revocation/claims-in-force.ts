/**
 * Which claims the revocations in force name. A gateway looks only at the claims in `revocation.claims`: an entry of any
 * other claim refuses nothing, although it is listed. So a configuration that drops a claim must not pass in silence.
 */
import type { RevocationStore } from './revocation-store.ts';

/** Entries that are read with one call. */
const PAGE_ENTRIES = 5_000;

export interface ClaimsInForce {
  /** By the claim's path: how many entries name it. */
  readonly entries: ReadonlyMap<string, number>;
  /** Entries that were put back and have a cutoff: each may be of a claim, and does not say of which. */
  readonly unnamed: number;
}

/** Reads the whole list. Rejects where the store is unavailable. */
export async function claimsInForce(store: RevocationStore): Promise<ClaimsInForce> {
  const entries = new Map<string, number>();
  let unnamed = 0;
  let cursor: string | undefined;
  do {
    const page = await store.list({ limit: PAGE_ENTRIES, ...(cursor !== undefined && { cursor }) });
    for (const { target, issuedBefore } of page.entries) {
      if (target === undefined) unnamed += issuedBefore === null ? 0 : 1;
      else if (target.kind === 'claim') {
        const [path] = JSON.parse(target.value) as [path: string];
        entries.set(path, (entries.get(path) ?? 0) + 1);
      }
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return { entries, unnamed };
}
