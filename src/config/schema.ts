/**
 * The shape of the configuration file. Every key has a description; unknown keys are errors at every
 * level. `config/schema.json` and the reference in docs/ are generated from here. Pure.
 */
import { z } from 'zod';
import { dns } from './dns-schema.ts';
import { dpop } from './dpop-schema.ts';
import { identity } from './identity-schema.ts';
import { issuer } from './issuer-schema.ts';
import { proof } from './proof-schema.ts';
import { admin, listener } from './listener-schema.ts';
import { failedAuthentications, rateLimits } from './rate-limit-schema.ts';
import { revocation } from './revocation-schema.ts';
import { route } from './route-schema.ts';
import {
  count,
  duration,
  name,
  positiveCount,
  positiveDuration,
  positiveSize,
  size,
  text,
} from './scalars.ts';
import { sessions } from './sessions-schema.ts';
import { signals } from './signals-schema.ts';
import { upstream } from './upstream-schema.ts';

const limits = z
  .strictObject({
    uri_bytes: positiveSize
      .prefault('8KiB')
      .describe(
        'Longest request target in bytes. A longer one is refused with 414. Raise it if your URLs are longer.',
      ),
    header_bytes: positiveSize
      .prefault('16KiB')
      .describe(
        'Largest header section in bytes. A larger one is refused with 431. Raise it for large cookies.',
      ),
    header_count: positiveCount
      .prefault(100)
      .describe('Largest number of header lines. More are refused with 431.'),
    token_bytes: positiveSize
      .prefault('8KiB')
      .describe(
        'Longest token in bytes. A longer one is refused with 401 before any cryptography. Raise it if your issuer puts many claims into a token; header_bytes must hold it.',
      ),
    body_bytes: size
      .prefault(0)
      .describe('Largest request body in bytes. A larger one is refused with 413. 0: no limit.'),
    in_flight: count
      .prefault(0)
      .describe(
        'Largest number of requests that are served at the same time. More are refused with 503. 0: no limit. Set it to what your upstreams can bear.',
      ),
    connections: count
      .prefault(0)
      .describe(
        'Largest number of client connections to each listener. Further ones are closed at once. 0: no limit. Set it below the limit of open files.',
      ),
    rate_limit_keys: positiveCount
      .prefault(100_000)
      .describe(
        'Largest number of callers that all rate_limits together count at a time, some 200 bytes each, and as many addresses besides. A caller is forgotten once it may send its whole burst again; while there is no room, all further callers of a limit share one bucket. Raise it if sallyport_rate_limit_overflow_requests_total rises without an attack.',
      ),
    failed_authentications: failedAuthentications
      .optional()
      .describe(
        'How many refused credentials an address (of IPv6, a /64) may send: beyond it, its requests get 429 before their token is verified and before any server is asked. Tokens that a cache knows as good still pass. Absent: no limit. Do not set it where many clients share an address: one of them can lock out the others.',
      ),
  })
  .describe('Upper limits of requests and connections.');

const timeouts = z
  .strictObject({
    headers: positiveDuration
      .prefault('10s')
      .describe('How long a client may take to send its header section; then it gets 408.'),
    idle: positiveDuration
      .prefault('75s')
      .describe(
        'How long an idle client connection stays open, and how long a client may take to read the end of a response. Set it longer than the idle timeout of a load balancer in front.',
      ),
    drain_delay: duration
      .prefault('0s')
      .describe(
        'How long the gateway still accepts connections after SIGTERM, while /readyz is already 503. Set it to the time that your load balancer needs to notice.',
      ),
    drain: duration
      .prefault('30s')
      .describe(
        'How long requests and tunnels may still run after drain_delay; then they are cut off. Raise it for long downloads; your service manager must wait for the sum of both.',
      ),
  })
  .describe('Timeouts of client connections, and of a shutdown.');

const cacheOf = (entries: number, bytes?: string) =>
  z.strictObject({
    entries: positiveCount.prefault(entries).describe('Largest number of entries.'),
    ...(bytes === undefined
      ? {}
      : { bytes: positiveSize.prefault(bytes).describe('Largest size in bytes, estimated.') }),
  });

const caches = z
  .strictObject({
    tokens: z
      .strictObject({
        entries: positiveCount.prefault(50_000).describe('Largest number of entries.'),
        bytes: positiveSize.prefault('64MiB').describe('Largest size in bytes, estimated.'),
      })
      .prefault({})
      .describe(
        'Cache of verified JWTs, which saves the signature check. No entry is used after its exp. Once it is full of 1,000 entries or more, it takes a token on its second sight. Raise its size if sallyport_cache_lookups_total shows many misses.',
      ),
    negatives: cacheOf(10_000)
      .prefault({})
      .describe(
        'Cache of tokens that can never be valid, which keeps a flood of them cheap. Once it is full of 1,000 entries or more, it takes a token on its second sight.',
      ),
    introspection: z
      .strictObject({
        entries: positiveCount.prefault(50_000).describe('Largest number of entries.'),
        bytes: positiveSize.prefault('64MiB').describe('Largest size in bytes, estimated.'),
      })
      .prefault({})
      .describe(
        'Cache of introspection and validation responses about opaque tokens. Raise its size if it holds fewer tokens than your clients use at the same time.',
      ),
  })
  .describe('Sizes of the local caches. What does not fit is checked again.');

const log = z
  .strictObject({
    sample: z
      .number('must be a number from 0 to 1')
      .min(0)
      .max(1)
      .prefault(1)
      .describe(
        'Share of the successful requests whose lines are written, chosen at random: 0.01 is one in a hundred, 0 none. Requests that were refused, failed, or got a 4xx or 5xx, and audit lines, are never left out by it. Lower it where lines of successful requests cost more than they tell; metrics count every request.',
      ),
    refusals: count
      .prefault(100)
      .describe(
        'How many refused requests of each reason and route are written in a second; one line a second says how many more there were. 0: all. It keeps a flood of bad tokens from filling the log. Raise it if you need the line of every refusal.',
      ),
    facts: z
      .boolean()
      .prefault(false)
      .describe(
        'Adds to the line of a request which of the scopes that any route asks for its token has, and which claim and login rules of any route hold for it: the results, never the value of a claim. Set it for some time before you change rules, so that sallyport check --replay can decide the logged requests under the new ones. A line grows by the names of these scopes and 15 bytes for each rule, at most 4 KiB.',
      ),
  })
  .describe('Which requests get a line in the log, and what it says of rules.');

const readiness = z
  .strictObject({
    require_keys: positiveDuration
      .optional()
      .describe(
        'How long after a start /readyz waits for the keys of every issuer, fetched or from keys.cache_dir. Then the gateway is ready without them. Absent: ready after the first fetch, even if it failed. Set it to the time that your orchestrator waits for a new gateway, such as 60s, so that a rolling restart does not replace gateways that have keys with gateways that have none.',
      ),
  })
  .describe('When /readyz of a gateway that has just started is 200.');

export const configurationSchema = z.strictObject({
  $schema: z
    .string()
    .optional()
    .describe('Path or URL of the JSON Schema, for editors. The gateway ignores it.'),
  name: name
    .prefault('sallyport')
    .describe(
      'Name of the gateway. Via carries it, loop detection uses it, and it is iss of assertions. Give each tier of gateways a different one.',
    ),
  realm: z
    .string()
    .regex(/^[\x20\x21\x23-\x5b\x5d-\x7e]{1,200}$/, 'must be printable ASCII without " and \\')
    .prefault('sallyport')
    .describe('Realm in WWW-Authenticate challenges. Set it to the name of your API.'),
  listeners: z
    .array(listener)
    .min(1)
    .prefault([{ port: 8080 }])
    .describe('Public listeners. Changing them needs a restart.'),
  admin: admin.prefault({}),
  workers: z
    .union([positiveCount, z.literal('auto')], 'must be a number from 1, or auto')
    .prefault(1)
    .describe(
      'Number of processes that serve requests. auto: one for each core that this process may use. Set it where one core is too little. All share the listeners and the admin listener, one configuration and one revocation list. Divided among them: limits.in_flight, limits.connections and upstreams.*.connections. Each has its own: caches, circuit breakers, health checks, ejection, introspection.per_client, limits.failed_authentications, log.refusals and sessions.entries. Changing it needs a restart.',
    ),
  trusted_proxies: z
    .array(text)
    .prefault([])
    .describe(
      'Addresses and networks (CIDR) of the proxies and load balancers in front whose X-Forwarded-* headers are believed. Name yours, or all their clients count as one.',
    ),
  readiness: readiness.prefault({}),
  limits: limits.prefault({}),
  timeouts: timeouts.prefault({}),
  caches: caches.prefault({}),
  issuers: z
    .record(name, issuer)
    .prefault({})
    .describe(
      'Whose tokens are accepted, by a name of your choice. Routes, metrics and the admin API use this name.',
    ),
  revocation: revocation.prefault({}),
  signals,
  dpop: dpop.prefault({}),
  identity: identity.prefault({}),
  routes: z
    .array(route)
    .min(1)
    .describe(
      'Which requests are forwarded, to which upstream, and who may send them. A request that matches no route gets 404.',
    ),
  rate_limits: rateLimits
    .prefault([])
    .describe(
      'Limits of all routes: a caller has one bucket for all of them. Those of a route count besides. A request beyond a limit gets 429.',
    ),
  dns: dns.prefault({}),
  upstreams: z
    .record(name, upstream)
    .describe('Groups of servers that requests are forwarded to, by a name of your choice.'),
  sessions: sessions
    .prefault('hashed')
    .describe(
      'Which recent sessions and subjects the gateway remembers, so that the admin API can say whether one was seen: off, hashed, plain, or { show, addresses, entries }. They are kept in memory, told for a day after their last request, and lost at a restart. off: an operator cannot know whether what is revoked was in use.',
    ),
  access_log: z
    .boolean()
    .prefault(true)
    .describe(
      'Writes one JSON line for each request to standard output. Set it to false if metrics are enough.',
    ),
  log: log.prefault({}),
  proof: proof.optional(),
  log_key: text
    .optional()
    .describe(
      'Key of the HMACs that replace subjects and token ids in the log. Set the same key on every gateway to compare their logs; sallyport hash computes the same hashes. Prefer log_key_file, which keeps it out of this file.',
    ),
  log_key_file: text
    .optional()
    .describe(
      'File that contains the log key, mode 0600. A new key counts from the reload on. Without a key, each start takes a random one: hashes differ between gateways, and sallyport hash cannot compute them.',
    ),
});

/** The configuration as the code uses it: durations in milliseconds, sizes in bytes, defaults filled in. */
export type Configuration = z.output<typeof configurationSchema>;
export type IssuerConfiguration = Configuration['issuers'][string];
export type RouteConfiguration = Configuration['routes'][number];

/** The JSON Schema (draft 2020-12) of the file, for editors. */
export function configurationJsonSchema(): object {
  return { title: 'Sallyport configuration', ...z.toJSONSchema(configurationSchema, { io: 'input' }) };
}
