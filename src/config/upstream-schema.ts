/** The shape of `upstreams` in the configuration file. Pure. */
import { z } from 'zod';
import { httpUrl, positiveCount, positiveDuration, routePath } from './scalars.ts';
import { tlsClient } from './tls-schema.ts';

const targetUrl = httpUrl.refine(
  (url) => new URL(url).pathname === '/' && new URL(url).search === '',
  'must be scheme, host and port only; use rewrite.add_prefix for a path',
);

export const upstream = z.strictObject({
  targets: z
    .array(
      z.union(
        [
          targetUrl,
          z.strictObject({
            url: targetUrl.describe('Scheme, host and port.'),
            weight: positiveCount.prefault(1).describe('Share of the requests.'),
          }),
        ],
        'must be an http:// or https:// URL of scheme, host and port only, or { url, weight }',
      ),
    )
    .min(1)
    .describe('Where requests go.'),
  balance: z
    .enum(['round_robin', 'least_requests'], 'must be round_robin or least_requests')
    .prefault('round_robin')
    .describe('How targets are chosen.'),
  health: z
    .strictObject({
      path: routePath.describe('What is asked for, by GET; 2xx and 3xx mean that it is well.'),
      interval: positiveDuration.prefault('10s').describe('How often.'),
      timeout: positiveDuration.prefault('2s').describe('How long the answer may take.'),
      healthy_after: positiveCount
        .prefault(2)
        .describe('Good answers in a row until it gets requests again.'),
      unhealthy_after: positiveCount.prefault(3).describe('Bad ones in a row until it gets none.'),
    })
    .optional()
    .describe('Active health checks of each target. Where none is well, all get requests.'),
  eject: z
    .strictObject({
      errors: positiveCount
        .prefault(5)
        .describe('Connection errors, timeouts and broken answers in a row until a target gets no requests.'),
      for: positiveDuration.prefault('30s').describe('For how long; after it, one more error is enough.'),
    })
    .optional()
    .describe('Passive health: what became of the requests that a target got.'),
  tls: tlsClient.optional().describe('For https:// targets: whom to trust, and who we are.'),
  connections: positiveCount.prefault(128).describe('Most connections to each target, per process.'),
  connect_timeout: positiveDuration.prefault('5s').describe('How long connecting may take.'),
});
