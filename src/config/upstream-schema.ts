/** The shape of `upstreams` in the configuration file. Pure. */
import { z } from 'zod';
import { httpUrl, positiveCount, positiveDuration } from './scalars.ts';

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
  connections: positiveCount.prefault(128).describe('Most connections to each target, per process.'),
  connect_timeout: positiveDuration.prefault('5s').describe('How long connecting may take.'),
});
