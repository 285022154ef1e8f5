/** The shape of `revocation` in the configuration file. Pure. */
import { z } from 'zod';
import { count, positiveDuration, text, whenStale } from './scalars.ts';
import { tlsClient } from './tls-schema.ts';

const nodes = z
  .array(z.string().regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$/, 'must be host:port'))
  .min(1);

const redisLogin = {
  username: text.optional().describe('ACL user.'),
  password: text.optional().describe('Its password; password_file keeps it out of this file.'),
  password_file: text.optional().describe('File that holds the password.'),
  tls: z.boolean().prefault(false).describe('Speak TLS to every node. revocation.tls tells more.'),
};

const store = z.union(
  [
    z
      .string()
      .regex(
        /^(memory:|sqlite:.+|rediss?:\/\/.+)$/,
        'must be memory:, sqlite:FILE or redis[s]://[user:pass@]host:port/db',
      ),
    z.strictObject({
      sentinels: nodes.describe('The sentinels, as host:port.'),
      name: text.describe('Name of the primary that they watch.'),
      db: count.prefault(0).describe('Number of the database.'),
      ...redisLogin,
      sentinel_username: text.optional().describe('ACL user of the sentinels.'),
      sentinel_password: text
        .optional()
        .describe('Its password; sentinel_password_file keeps it out of this file.'),
      sentinel_password_file: text.optional().describe('File that holds it.'),
    }),
    z.strictObject({
      cluster: nodes.describe('Some nodes of the cluster, as host:port. The list lies in one slot.'),
      ...redisLogin,
    }),
  ],
  'must be memory:, sqlite:FILE, redis[s]://[user:pass@]host:port/db, { sentinels: [host:port], name } or { cluster: [host:port] }',
);

export const revocation = z
  .strictObject({
    store: store
      .prefault('memory:')
      .describe(
        'Where revocations are kept: memory:, sqlite:FILE, redis[s]://[user:pass@]host:port/db, { sentinels, name } or { cluster }.',
      ),
    key_prefix: z
      .string()
      .regex(/^[A-Za-z0-9_.:-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ . : -')
      .prefault('sallyport')
      .describe('What the names of its keys in Redis begin with: {PREFIX}:revocation:*. One for each fleet.'),
    tls: tlsClient.optional().describe('For rediss:// and tls: true: whom to trust, and who we are.'),
    max_view_age: positiveDuration.prefault('30s').describe('How old the local copy of the list may be.'),
    when_stale: whenStale
      .prefault('deny')
      .describe('What happens when it is older: deny answers 503, allow lets requests pass and counts them.'),
    keep: positiveDuration.prefault('30d').describe('How long an entry lives when no expiry can be known.'),
    claims: z
      .array(text)
      .prefault([])
      .describe(
        'Claims, as dotted paths, by which tokens can be revoked besides subject, session and client.',
      ),
  })
  .describe('The revocation list.');
