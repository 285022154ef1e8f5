/** What each worker gets of a configuration. Pure. */
import type { LoadedConfiguration } from '../config/load.ts';

/**
 * The configuration of one worker. Limits that stand for what all may take together are divided: requests in flight and client
 * connections exactly, as far as each gets one; connections to a target are rounded up, so that no worker is without.
 *
 * @param id from 1
 * @param logKey for the hashes in the log, the same one for all
 */
export function configurationOf(
  loaded: LoadedConfiguration,
  id: number,
  count: number,
  logKey: string,
): LoadedConfiguration {
  const { configuration } = loaded;
  const { limits, upstreams, log_key } = configuration;
  return {
    ...loaded,
    configuration: {
      ...configuration,
      log_key: log_key ?? logKey,
      limits: {
        ...limits,
        in_flight: shareOf(limits.in_flight, id, count),
        connections: shareOf(limits.connections, id, count),
      },
      upstreams: Object.fromEntries(
        Object.entries(upstreams).map(([name, upstream]) => [
          name,
          { ...upstream, connections: Math.ceil(upstream.connections / count) },
        ]),
      ),
    },
  };
}

/** 0 stays 0: no limit. */
function shareOf(limit: number, id: number, count: number): number {
  if (limit === 0) return 0;
  return Math.max(1, Math.floor(limit / count) + (id <= limit % count ? 1 : 0));
}
