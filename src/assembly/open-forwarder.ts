/** Opens the connections of a configuration's upstreams. */
import type { LoadedConfiguration } from '../config/load.ts';
import { UpstreamForwarder } from '../upstream/upstream-forwarder.ts';
import type { Lasting } from './generation.ts';
import { allUpstreamOptions } from './upstream-options.ts';
import { upstreamObserver } from './upstream-reports.ts';

/** @param previous whose targets are kept where they are the same */
export function openForwarder(
  { configuration }: LoadedConfiguration,
  { place, metrics, log, clock, view, streams }: Lasting,
  previous?: UpstreamForwarder,
): UpstreamForwarder {
  return new UpstreamForwarder(place.serves ? allUpstreamOptions(configuration) : new Map(), {
    clock,
    observer: upstreamObserver(metrics, log.logger, clock),
    dnsServers: configuration.dns.servers,
    revision: () => view.revision + streams.revision,
    ...(previous && { previous }),
  });
}
