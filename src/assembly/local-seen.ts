/** What this gateway has seen, for the admin API: of its workers, where it has some, else of this process. */
import type { LocalSeen } from '../admin/seen-api.ts';
import type { Lasting } from './generation.ts';

/** @param routes the names of the configured routes */
export function localSeen({ seen, place }: Lasting, routes: readonly string[]): LocalSeen {
  const { history, refusals, sessions, limited, reported } = seen;
  const own: LocalSeen = {
    localHistory: async () => [history.report(routes)],
    localRefusals: async (query) => ({ found: refusals.search(query), silent: [] }),
    localSessions: async (query) =>
      sessions.isOn ? { found: sessions.search(query), silent: [] } : undefined,
    localLimited: async (limit) => ({ found: limited.top(limit), silent: [] }),
    localReported: async (limit) => ({ found: reported.top(limit), silent: [] }),
  };
  const all = (): LocalSeen => place.overview?.seen ?? own;
  return {
    localHistory: () => all().localHistory(),
    localRefusals: (query) => all().localRefusals(query),
    localSessions: (query) => all().localSessions(query),
    localLimited: (limit) => all().localLimited(limit),
    localReported: (limit) => all().localReported(limit),
  };
}
