/** The shape of `revocation` in the configuration file. Pure. */
import { z } from 'zod';
import { count, duration, positiveDuration, text, whenStale } from './scalars.ts';
import { tlsClient } from './tls-schema.ts';

const nodes = z
  .array(z.string().regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$/, 'must be host:port'))
  .min(1);

const aclUser = {
  username: text.optional().describe('Name of the ACL user in Redis.'),
  password: text
    .optional()
    .describe('Password of the ACL user. Prefer password_file, which keeps it out of this file.'),
  password_file: text.optional().describe('File that contains the password of the ACL user.'),
};

const redisLogin = {
  ...aclUser,
  tls: z.boolean().prefault(false).describe('Uses TLS to every node. revocation.tls has the certificates.'),
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
      url: z
        .string()
        .regex(
          /^rediss?:\/\/[^/@?#]+(?:\/[0-9]*)?$/,
          'must be redis[s]://host:port/db; who logs in stands beside it: username and password_file',
        )
        .describe(
          'One Redis, as redis[s]://host:port/db, whose password comes from a file: nothing of it is in the URL.',
        ),
      ...aclUser,
    }),
    z.strictObject({
      sentinels: nodes.describe('Addresses of the sentinels, as host:port.'),
      name: text.describe('Name of the primary that the sentinels watch.'),
      db: count.prefault(0).describe('Number of the Redis database.'),
      ...redisLogin,
      sentinel_username: text.optional().describe('Name of the ACL user in the sentinels.'),
      sentinel_password: text
        .optional()
        .describe('Password of that user. Prefer sentinel_password_file, which keeps it out of this file.'),
      sentinel_password_file: text.optional().describe('File that contains the password for the sentinels.'),
    }),
    z.strictObject({
      cluster: nodes.describe(
        'Addresses of some nodes of the cluster, as host:port. The whole list is in one slot.',
      ),
      ...redisLogin,
    }),
  ],
  'must be memory:, sqlite:FILE, redis[s]://[user:pass@]host:port/db, { url: redis[s]://host:port/db }, { sentinels: [host:port], name } or { cluster: [host:port] }',
);

const MIN_CANARY_MS = 10_000;
/** A proof that is older is not worth much, and alerts could not rely on it. */
const MAX_CANARY_MS = 300_000;

const canary = z
  .strictObject({
    every: z
      .union(
        [
          z.literal('off'),
          duration.refine((ms) => ms >= MIN_CANARY_MS && ms <= MAX_CANARY_MS, 'must be 10s to 5m, or off'),
        ],
        'must be 10s to 5m, or off',
      )
      .prefault('1m')
      .describe(
        'How often the gateways that share the store make a canary, taking turns. off: this gateway makes none; it still refuses those of others, and says so.',
      ),
  })
  .describe(
    'An entry that ends nothing but itself: every gateway shows how soon it refuses what is revoked (sallyport_revocation_time_to_refuse_seconds, GET /v1/gateways).',
  );

export const revocation = z
  .strictObject({
    store: store
      .prefault('memory:')
      .describe(
        'Where the list is stored. memory: (lost at a restart; for trials). sqlite:FILE (for one gateway). redis[s]://[user:pass@]host:port/db, { url, password_file }, { sentinels, name } or { cluster } (for a fleet).',
      ),
    key_prefix: z
      .string()
      .regex(/^[A-Za-z0-9_.:-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 _ . : -')
      .prefault('sallyport')
      .describe(
        'Prefix of its key names in Redis: {PREFIX}:revocation:*, {PREFIX}:api-keys:*, PREFIX:limit:*, and PREFIX:used:* for used proofs of possession, JWTs of global token revocation and signals. Give each fleet that shares a Redis a different one.',
      ),
    tls: tlsClient
      .optional()
      .describe('TLS to Redis (rediss:// or tls: true): trusted authorities and client certificate.'),
    max_view_age: positiveDuration
      .prefault('30s')
      .describe(
        'How old the local copy of the list may be. If it is older, when_stale applies. Raise it to ride out longer outages of the store, at the price of revocations that take effect later.',
      ),
    when_stale: whenStale
      .prefault('deny')
      .describe(
        'What happens to requests with a token while the local copy is older than max_view_age. deny: they get 503. allow: they pass, revoked tokens too, and are counted.',
      ),
    keep: positiveDuration
      .prefault('30d')
      .describe(
        'How long an entry is kept if the expiry of its tokens is not known. It must not be shorter than the longest lifetime of a token.',
      ),
    canary: canary.prefault({}),
    claims: z
      .array(text)
      .prefault([])
      .describe(
        'Claims, as dotted paths, by which tokens can be revoked besides subject, session and client. Add one, such as tenant, before you need it. A reload may not drop one that revocations in force name.',
      ),
  })
  .describe('The list of revoked tokens.');
