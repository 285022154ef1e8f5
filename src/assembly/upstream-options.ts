/** What the configuration says of upstreams, for the forwarder. Pure. */
import type { Configuration } from '../config/schema.ts';
import { readTargetUrl, type TargetUrl } from '../http/target-url.ts';
import { tlsClientOptions } from '../config/tls-schema.ts';
import type { HealthQuestion } from '../upstream/ask-health.ts';
import type { UpstreamOptions } from '../upstream/upstream-forwarder.ts';

export function allUpstreamOptions({ upstreams, identity }: Configuration): Map<string, UpstreamOptions> {
  const sensitive = identity.assertion ? [identity.assertion.header] : [];
  return new Map(
    Object.entries(upstreams).map(([name, upstream]) => [name, upstreamOptions(upstream, sensitive)]),
  );
}

/** @param sensitive names of fields that are as secret as credentials */
export function upstreamOptions(
  upstream: Configuration['upstreams'][string],
  sensitive: readonly string[] = [],
): UpstreamOptions {
  const { health, eject } = upstream;
  const negotiates = upstream.protocol === 'auto';
  return {
    targets: upstream.targets.map((target) =>
      typeof target === 'string'
        ? { url: targetUrl(target, negotiates), weight: 1 }
        : { url: targetUrl(target.url, negotiates), weight: target.weight },
    ),
    balance: upstream.balance,
    connections: upstream.connections,
    streams: upstream.streams,
    sensitive,
    connectTimeoutMs: upstream.connect_timeout,
    tls: tlsClientOptions(upstream.tls ?? {}),
    health: health && {
      question: healthQuestion(health),
      intervalMs: health.interval,
      timeoutMs: health.timeout,
      healthyAfter: health.healthy_after,
      unhealthyAfter: health.unhealthy_after,
    },
    eject: eject && { errors: eject.errors, forMs: eject.for },
  };
}

function healthQuestion({
  path = '/',
  grpc,
}: {
  path?: string | undefined;
  grpc?: string | undefined;
}): HealthQuestion {
  return grpc === undefined ? { kind: 'http', path } : { kind: 'grpc', service: grpc };
}

/** The configuration has validated it. */
function targetUrl(text: string, negotiates: boolean): TargetUrl {
  const target = readTargetUrl(text);
  if (!target) throw new TypeError(`${text} is no URL of a target`);
  return negotiates ? { ...target, negotiates } : target;
}
