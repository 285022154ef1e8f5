/**
 * The shape of the configuration file. Every key has a description; unknown keys are errors at every
 * level. `config/schema.json` and the reference in docs/ are generated from here. Pure.
 */
import { z } from 'zod';
import { DIALECTS } from '../http/original-request.ts';
import { DEFAULT_IDENTITY_HEADERS } from './identity-map.ts';
import { issuer } from './issuer-schema.ts';
import { revocation } from './revocation-schema.ts';
import { route } from './route-schema.ts';
import {
  count,
  duration,
  headerName,
  identityHeaders,
  name,
  port,
  positiveCount,
  positiveDuration,
  positiveSize,
  size,
  text,
} from './scalars.ts';
import { tlsListener, tlsServer } from './tls-schema.ts';
import { upstream } from './upstream-schema.ts';

const listener = z
  .strictObject({
    host: text.prefault('0.0.0.0').describe('Address to listen on.'),
    port: port.describe('Port to listen on; 0 takes a free one.'),
    reuse_port: z
      .boolean()
      .prefault(false)
      .describe(
        'Let several gateway processes share the port (SO_REUSEPORT), one a core. Each needs an admin port of its own.',
      ),
    tls: tlsListener
      .optional()
      .describe(
        'Speak TLS, and HTTP/2 or HTTP/1.1 over it. Certificates that have changed are taken by a reload.',
      ),
    serve: z
      .enum(['decisions', 'redirect'], 'must be decisions or redirect, or absent')
      .optional()
      .describe(
        'decisions: forward nothing, but tell another proxy (nginx, Caddy, Traefik, Envoy) whether its request may pass, and who is calling. redirect: send every client to https; a request that brings credentials over this open line is refused, in the query too.',
      ),
    https_port: port
      .optional()
      .describe('Where a redirect listener sends clients to, as they see it. Default: 443.'),
    dialect: z
      .enum(DIALECTS, 'must be forwarded, original, original_url or request')
      .optional()
      .describe(
        'Where a decision listener finds the original request. forwarded: X-Forwarded-Method, -Proto, -Host and -Uri (Traefik, Caddy). original: X-Original-Method, X-Original-URI and Host (nginx). original_url: X-Original-Method and X-Original-URL (ingress-nginx, which leaves a client’s own X-Original-URI in place: never use original with it). request: the request line and Host (Envoy).',
      ),
    trusted_peers: z
      .array(text)
      .optional()
      .describe('Addresses and networks (CIDR) that may ask a decision listener; others get 403.'),
  })
  .describe('A public listener.');

const adminToken = z.strictObject({
  name: name.describe('Who this token stands for; recorded as created_by.'),
  token: text.optional().describe('The token itself; token_file keeps it out of this file.'),
  token_file: text.optional().describe('File that holds the token.'),
});

const admin = z
  .strictObject({
    host: text.prefault('127.0.0.1').describe('Address of the admin listener.'),
    port: port.prefault(9090).describe('Port of the admin listener; 0 takes a free one.'),
    tls: tlsServer
      .optional()
      .describe(
        'Speak TLS on the admin listener, too. Certificates that have changed are taken by a reload.',
      ),
    token: text.optional().describe('Bearer token of the admin API; token_file keeps it out of this file.'),
    token_file: text
      .optional()
      .describe('File that holds the bearer token of the admin API. Without a token /v1/ is off.'),
    tokens: z
      .array(adminToken)
      .min(1)
      .optional()
      .describe('Several named admin tokens; the name is recorded with each change.'),
    hosts: z
      .array(text)
      .prefault([])
      .describe(
        'Host values that the admin API answers to, besides IP literals and localhost (against DNS rebinding).',
      ),
  })
  .describe('The admin listener: health, metrics and the revocation API. Never public.');

const limits = z
  .strictObject({
    uri_bytes: positiveSize.prefault('8KiB').describe('Longest request target; beyond it 414.'),
    header_bytes: positiveSize.prefault('16KiB').describe('Largest header section; beyond it 431.'),
    header_count: positiveCount.prefault(100).describe('Most header lines; beyond it 431.'),
    token_bytes: positiveSize
      .prefault('8KiB')
      .describe('Longest token; beyond it 401 before any cryptography.'),
    body_bytes: size.prefault(0).describe('Largest request body; beyond it 413. 0 = no limit.'),
    in_flight: count.prefault(0).describe('Most requests served at a time; beyond it 503. 0 = no limit.'),
    connections: count
      .prefault(0)
      .describe('Most client connections to a listener; beyond it they are closed. 0 = no limit.'),
  })
  .describe('What a request may be at most.');

const timeouts = z
  .strictObject({
    headers: positiveDuration
      .prefault('10s')
      .describe('How long a client may take to send its header section.'),
    idle: positiveDuration
      .prefault('75s')
      .describe(
        'How long an idle client connection is kept, and how long a client may take to take the end of an answer.',
      ),
    drain_delay: duration
      .prefault('0s')
      .describe(
        'How long after SIGTERM new connections are still taken, while /readyz says 503 already: until load balancers have noticed.',
      ),
    drain: duration.prefault('30s').describe('How long requests and tunnels may still run after that.'),
  })
  .describe('Timeouts of client connections.');

const cacheOf = (entries: number, bytes?: string) =>
  z.strictObject({
    entries: positiveCount.prefault(entries).describe('Most entries.'),
    ...(bytes === undefined
      ? {}
      : { bytes: positiveSize.prefault(bytes).describe('Most bytes, estimated.') }),
  });

const caches = z
  .strictObject({
    tokens: z
      .strictObject({
        entries: positiveCount.prefault(50_000).describe('Most entries.'),
        bytes: positiveSize.prefault('64MiB').describe('Most bytes, estimated.'),
      })
      .prefault({})
      .describe('Verified JWTs. Never used beyond their exp.'),
    negatives: cacheOf(10_000)
      .prefault({})
      .describe('Tokens that can never become valid, so that a flood of them stays cheap.'),
    introspection: z
      .strictObject({
        entries: positiveCount.prefault(50_000).describe('Most entries.'),
        bytes: positiveSize.prefault('64MiB').describe('Most bytes, estimated.'),
      })
      .prefault({})
      .describe('Answers about opaque tokens.'),
  })
  .describe('Bounds of the local caches.');

const assertion = z
  .strictObject({
    header: headerName.prefault('X-Identity-Assertion').describe('Header that carries the assertion.'),
    key_file: text.describe(
      'Private JWK (Ed25519 or P-256), or a JWK Set: the first key signs, all are published.',
    ),
    lifetime: positiveDuration.prefault('60s').describe('How long an assertion is valid.'),
    claims: z
      .array(text)
      .prefault(['sub', 'client_id', 'scope'])
      .describe('Top-level claims that it repeats.'),
  })
  .describe(
    'A JWT about the caller, signed by the gateway, for services that verify. Public keys: /.well-known/sallyport/jwks.json on the admin listener.',
  );

const identity = z
  .strictObject({
    headers: identityHeaders
      .prefault(DEFAULT_IDENTITY_HEADERS)
      .describe(
        'Header name to claim path. Dots separate levels; "\\." is a dot in a name. Your entries are added to the four defaults: a name that is there is replaced (whatever its case, and with _ or . for -), null takes it out. The gateway removes the four names, and every name that stands here or in a route, from each client request on every route, whether or not it sets them.',
      ),
    max_bytes: positiveSize
      .prefault('8KiB')
      .describe('Most bytes of all identity headers of a request; above: 403.'),
    assertion: assertion.optional(),
    forward_authorization: z.boolean().prefault(false).describe('Pass Authorization on to the upstream.'),
  })
  .describe('What upstreams learn of the caller.');

const readiness = z
  .strictObject({
    require_keys: positiveDuration
      .optional()
      .describe(
        'After a start, /readyz waits this long for the keys of every issuer, fetched or from keys.cache_dir, so that a rolling restart does not replace gateways that have keys by ones that have none. After that time the gateway is ready without them. Absent: ready after the first fetch, also if it has failed. Set it to what your orchestrator waits for a new gateway, such as 60s.',
      ),
  })
  .describe('When a gateway that has just started is ready.');

export const configurationSchema = z.strictObject({
  $schema: z.string().optional().describe('Where the JSON Schema is, for editors.'),
  name: name.prefault('sallyport').describe('In Via; give each tier its own.'),
  realm: z
    .string()
    .regex(/^[\x20\x21\x23-\x5b\x5d-\x7e]{1,200}$/, 'must be printable ASCII without " and \\')
    .prefault('sallyport')
    .describe('In WWW-Authenticate.'),
  listeners: z
    .array(listener)
    .min(1)
    .prefault([{ port: 8080 }])
    .describe('Public listeners.'),
  admin: admin.prefault({}),
  trusted_proxies: z
    .array(text)
    .prefault([])
    .describe('Addresses and networks (CIDR) whose X-Forwarded-* are believed.'),
  readiness: readiness.prefault({}),
  limits: limits.prefault({}),
  timeouts: timeouts.prefault({}),
  caches: caches.prefault({}),
  issuers: z.record(name, issuer).prefault({}).describe('Who issues tokens.'),
  revocation: revocation.prefault({}),
  identity: identity.prefault({}),
  routes: z.array(route).min(1).describe('Which requests pass, and where to.'),
  upstreams: z.record(name, upstream).describe('Where requests go.'),
  access_log: z.boolean().prefault(true).describe('One line a request on standard output.'),
  log_key: text
    .optional()
    .describe(
      'Key of the HMACs that stand for subjects and token ids in the log; log_key_file keeps it out of this file.',
    ),
  log_key_file: text
    .optional()
    .describe(
      'File with that key. Without one it is random at each start, so hashes differ between gateways.',
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
