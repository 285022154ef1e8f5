/** The shape of `upstreams` in the configuration file. Pure. */
import { z } from 'zod';
import { readTargetUrl } from '../http/target-url.ts';
import { positiveCount, positiveDuration, routePath } from './scalars.ts';
import { tlsClient } from './tls-schema.ts';

const TARGET_URL =
  'must be an http://, https://, h2c:// or h2:// URL of scheme, host and port only, or srv://NAME (srv+https://, srv+h2c://, srv+h2://) without a port; use rewrite.add_prefix for a path';
const targetUrl = z.string(TARGET_URL).refine((url) => readTargetUrl(url) !== undefined, TARGET_URL);

export const upstream = z.strictObject({
  targets: z
    .array(
      z.union(
        [
          targetUrl,
          z.strictObject({
            url: targetUrl.describe('URL of the server: scheme, host and port; or srv://NAME.'),
            weight: positiveCount
              .prefault(1)
              .describe(
                'Share of the requests: an address of a target of weight 2 gets twice as many as one of a target of weight 1. A name of three addresses of weight 1 gets three times as many as a single address.',
              ),
          }),
        ],
        'must be an http://, https://, h2c:// or h2:// URL of scheme, host and port only, srv://NAME, or { url, weight }',
      ),
    )
    .min(1)
    .describe(
      'Servers of the upstream: URLs of scheme, host and port, or { url, weight }. http and https: HTTP/1.1. h2c: HTTP/2 without TLS. h2: HTTP/2 over TLS. gRPC servers need one of the last two. Every address of a name is a server of its own; the name is resolved again as its TTL says, after 1 to 60 seconds. srv://NAME: the servers that the SRV records of the name list, such as srv://_http._tcp.orders.internal; with another protocol than http: srv+https, srv+h2c, srv+h2.',
    ),
  protocol: z
    .literal('auto', 'must be auto, or absent')
    .optional()
    .describe(
      'auto: each server of an https:// or srv+https:// target chooses between HTTP/2 and HTTP/1.1 when a connection is opened (ALPN), and may choose otherwise on the next one. Set it if you do not know what the servers speak, or while it changes. WebSocket handshakes always use HTTP/1.1. Absent: the scheme of a target says it.',
    ),
  balance: z
    .enum(['round_robin', 'least_requests'], 'must be round_robin or least_requests')
    .prefault('round_robin')
    .describe(
      'How a target is chosen. round_robin: in turn, by weight. least_requests: the one with the fewest open requests; better if requests differ much in length.',
    ),
  health: z
    .strictObject({
      path: routePath
        .optional()
        .describe('Path that health checks request (GET). 2xx and 3xx count as healthy. Set this or grpc.'),
      grpc: z
        .string()
        .optional()
        .describe(
          'Service that health checks ask about by the health protocol of gRPC (grpc.health.v1.Health/Check); an empty string asks about the whole server. Only SERVING counts as healthy. Set it, instead of path, for gRPC servers: targets that are h2c:// or h2://, or have protocol: auto.',
        ),
      interval: positiveDuration.prefault('10s').describe('Time between two health checks of a target.'),
      timeout: positiveDuration
        .prefault('2s')
        .describe('How long a target may take to respond to a health check.'),
      healthy_after: positiveCount
        .prefault(2)
        .describe('Number of good checks in a row after which a target gets requests again.'),
      unhealthy_after: positiveCount
        .prefault(3)
        .describe('Number of failed checks in a row after which a target gets no requests.'),
    })
    .optional()
    .describe(
      'Active health checks of each address of each target. If none is healthy, requests go to all of them.',
    ),
  eject: z
    .strictObject({
      errors: positiveCount
        .prefault(5)
        .describe(
          'Number of connection errors, timeouts and malformed responses in a row after which a target gets no requests.',
        ),
      for: positiveDuration
        .prefault('30s')
        .describe('How long the target gets no requests. After that, one more error ejects it again.'),
    })
    .optional()
    .describe(
      'Passive health checks: an address of a target whose requests fail gets no requests for a while. Absent: off.',
    ),
  tls: tlsClient
    .optional()
    .describe('TLS to https:// and h2:// targets: trusted authorities and client certificate.'),
  connections: positiveCount
    .prefault(128)
    .describe(
      'Largest number of connections from this gateway to each address of each target. Further requests wait. Raise it for slow responses, up to what the target can bear.',
    ),
  streams: positiveCount
    .prefault(100)
    .describe(
      'Largest number of requests at the same time on one HTTP/2 connection to a target, at most what the target allows. Where all connections are full, another is opened, up to connections.',
    ),
  connect_timeout: positiveDuration
    .prefault('5s')
    .describe('How long a connection, with its TLS handshake, may take to open.'),
});
