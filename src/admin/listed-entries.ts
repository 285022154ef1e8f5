/** The entries that the admin API shows, and lets be undone: all but canaries (src/revocation/canary.ts). */
import type { Canaries } from '../revocation/canaries.ts';
import { CANARY_ISSUER } from '../revocation/canary.ts';
import type { ListQuery, Page, RevocationEntry, RevocationStore } from '../revocation/revocation-store.ts';

export type ListedEntries = Pick<RevocationStore, 'find' | 'list'>;

/** @param canaries by which one that the store had lost, and that came back without its target, is known */
export function listedEntries(store: ListedEntries, canaries: Pick<Canaries, 'has'>): ListedEntries {
  const isListed = ({ id, target }: RevocationEntry): boolean =>
    target?.issuer !== CANARY_ISSUER && !canaries.has(id);
  return {
    async find(id: string): Promise<RevocationEntry | undefined> {
      const entry = await store.find(id);
      return entry && isListed(entry) ? entry : undefined;
    },
    async list(query: ListQuery): Promise<Page> {
      const entries: RevocationEntry[] = [];
      let { cursor } = query;
      do {
        const limit = query.limit - entries.length;
        const page = await store.list({ ...query, limit, ...(cursor !== undefined && { cursor }) });
        entries.push(...page.entries.filter(isListed));
        ({ cursor } = page);
      } while (cursor !== undefined && entries.length < query.limit);
      return { entries, cursor };
    },
  };
}
