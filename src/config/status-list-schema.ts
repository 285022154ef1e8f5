/** The shape of `issuers.NAME.status_list` in the configuration file. Pure. */
import { z } from 'zod';
import { httpUrl, positiveCount, positiveDuration, positiveSize } from './scalars.ts';

export const statusList = z
  .strictObject({
    uris: z
      .array(httpUrl)
      .min(1)
      .describe(
        'URIs of lists that a token may name. One that ends in / stands for every path under it. A list with an exact URI is fetched at the start, others when a token names them. A token that names another URI is refused, and nothing is fetched.',
      ),
    required: z
      .boolean()
      .prefault(false)
      .describe(
        'Refuses tokens that name no list. Set it if all tokens of the issuer have a status, so that none without one passes.',
      ),
    refresh: positiveDuration
      .prefault('1m')
      .describe(
        'How often a list is fetched, so how long a new status may take to count here. A shorter ttl of the list counts instead, but a list is fetched at most every 5 s.',
      ),
    max_age: positiveDuration
      .prefault('10m')
      .describe(
        'How long the last good list is used while its server is down, at most until its exp. Then revocation.when_stale of the route decides: 503, or the request passes.',
      ),
    max_lists: positiveCount
      .prefault(64)
      .describe(
        'Largest number of lists at the same time. Beyond it a list that no token has named for a minute is dropped; if there is none, a token that names a new list is treated as if the list were unavailable.',
      ),
    max_size: positiveSize
      .prefault('64MiB')
      .describe('Largest size of all lists together in memory, unpacked. One list has at most 8MiB.'),
  })
  .describe(
    'The lists in which the issuer says which of its tokens are revoked or suspended (Token Status List, draft-ietf-oauth-status-list), in the JWT form. A token names its entry in status.status_list. Any status but 0 (VALID) refuses the token, on every request. Absent: the claim is ignored.',
  );
