/**
 * The shape of the configuration file. Every key has a description; unknown keys are errors at every
 * level. `config/schema.json` and the reference in docs/ are generated from here. Pure.
 */
import { z } from 'zod';
import {
  count,
  duration,
  headerName,
  httpUrl,
  name,
  port,
  positiveCount,
  positiveDuration,
  positiveSize,
  size,
} from './scalars.ts';
import { SIGNATURE_ALGORITHMS } from '../token/algorithms.ts';

const text = z.string().min(1, 'must not be empty');

const routePath = z
  .string()
  .regex(
    /^\/[!-"$-.0-;=@-[\]-~/]*$/,
    'must begin with / and be written as in a request line: no query, fragment, backslash or space',
  );

const HOST_NAME = '[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?';
const hostName = z.string().regex(new RegExp(`^${HOST_NAME}$`), 'must be a lower-case host name');

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
    idle: positiveDuration.prefault('75s').describe('How long an idle client connection is kept.'),
    drain: duration.prefault('30s').describe('How long requests and tunnels may still run after SIGTERM.'),
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

const opaqueAnswers = (cache: string) => ({
  cache: duration
    .prefault(cache)
    .describe('How long a positive answer is used, never beyond exp. 0s: not at all.'),
  negative_cache: duration.prefault('5s').describe('How long a negative answer is used. 0s: not at all.'),
  timeout: positiveDuration.prefault('2s').describe('How long the answer may take.'),
});

const introspection = z
  .strictObject({
    url: httpUrl.describe('The introspection endpoint.'),
    client_id: text.describe('Whom the gateway authenticates as.'),
    client_secret: text
      .optional()
      .describe('Its secret; client_secret_file keeps it out of this file. One of the two is needed.'),
    client_secret_file: text.optional().describe('File that holds the secret.'),
    auth_method: z
      .enum(
        ['client_secret_basic', 'client_secret_post'],
        'must be client_secret_basic or client_secret_post',
      )
      .prefault('client_secret_basic')
      .describe('How the gateway authenticates: by HTTP Basic, or in the form.'),
    ...opaqueAnswers('30s'),
    jwt: z
      .boolean()
      .prefault(false)
      .describe('Introspect JWTs too, unless a JWT issuer of the route has their iss.'),
  })
  .describe('An authorization server that is asked about tokens by RFC 7662.');

const jsonPointer = z.string().regex(/^(\/([^~/]|~[01])*)*$/, 'must be a JSON pointer (RFC 6901)');

const statuses = z
  .array(
    z.union(
      [z.number().int().min(200).max(599), z.string().regex(/^[2-5]xx$/)],
      'must be a status such as 404, or a class such as 2xx',
    ),
  )
  .min(1);

const validation = z
  .strictObject({
    url: httpUrl.describe('The service.'),
    method: z.enum(['GET', 'POST'], 'must be GET or POST').prefault('POST').describe('How it is asked.'),
    send: z
      .strictObject({
        in: z
          .enum(['json', 'form', 'header'], 'must be json, form or header')
          .prefault('json')
          .describe('json: a member of a JSON object; form: a form field; header: a header.'),
        name: text
          .optional()
          .describe('Name of the member, field or header. Default: token; Authorization for a header.'),
        value: z
          .string()
          .regex(/^[\x20-\x7e]*\{token\}[\x20-\x7e]*$/, 'must be printable ASCII with {token} in it')
          .optional()
          .describe('What it holds. Default: {token}; "Bearer {token}" for the header Authorization.'),
      })
      .prefault({})
      .describe('Where the token goes. Default: POST {"token": "..."}.'),
    headers: z
      .record(
        headerName,
        z.string().regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, 'must be printable ASCII'),
      )
      .prefault({})
      .describe('Further headers that the service wants, such as a key of its own.'),
    valid: statuses.prefault(['2xx']).describe('Statuses that mean: the token is valid.'),
    invalid: statuses
      .prefault([401, 403, 404])
      .describe('Statuses that mean: it is not. Any other status is an outage.'),
    active: jsonPointer
      .optional()
      .describe('JSON pointer (RFC 6901) to a boolean that has the last word where the status says valid.'),
    claims: jsonPointer
      .optional()
      .describe('JSON pointer to an object with the claims; "" is the whole answer. Absent: none.'),
    claim_pointers: z
      .record(text, jsonPointer)
      .prefault({})
      .describe('Claim name to JSON pointer, for claims that lie elsewhere in the answer.'),
    ...opaqueAnswers('10s'),
  })
  .describe('A service that validates opaque tokens but is not RFC 7662.');

const keys = z.strictObject({
  refresh: positiveDuration.prefault('5m').describe('How often the key set is fetched anew.'),
  max_stale: positiveDuration.prefault('24h').describe('How long keys are used while the endpoint is down.'),
});

const issuer = z
  .strictObject({
    issuer: text
      .optional()
      .describe(
        'The exact iss of its tokens. For opaque tokens: the only iss that answers may have; without it, any but those of other issuers (on other servers).',
      ),
    discovery: z.literal(true).optional().describe('Find the keys by OpenID Connect Discovery or RFC 8414.'),
    jwks_url: httpUrl.optional().describe('Where the key set (RFC 7517) is.'),
    jwks_file: text.optional().describe('File with the key set.'),
    jwks: z
      .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).describe('Public JWKs.') })
      .optional()
      .describe('The key set itself.'),
    hmac_secret: text
      .optional()
      .describe('Shared secret for HS256, HS384, HS512; hmac_secret_file keeps it out of this file.'),
    hmac_secret_file: text
      .optional()
      .describe('File that holds the shared secret; one trailing line end is not part of it.'),
    introspection: introspection.optional(),
    validation: validation.optional(),
    backchannel_logout: z
      .strictObject({
        host: hostName.describe('Host name of the endpoint, without port.'),
        path: routePath.describe('Its exact path.'),
        client_ids: z
          .array(text)
          .min(1)
          .describe('The clients whose logouts count: aud of a logout token holds one of them.'),
      })
      .optional()
      .describe(
        'OpenID Connect Back-Channel Logout 1.0: where this issuer tells of logouts, on the public listeners. A logout revokes the session (sid), else the subject.',
      ),
    audiences: z.array(text).min(1).optional().describe('A token must be for at least one of these (aud).'),
    algorithms: z
      .array(z.enum(SIGNATURE_ALGORITHMS, `must be one of ${SIGNATURE_ALGORITHMS.join(', ')}`))
      .min(1)
      .optional()
      .describe(
        'Accepted signature algorithms. Default: RS256, PS256, ES256, EdDSA; HS256 with a shared secret.',
      ),
    token_type: z
      .enum(['at+jwt', 'any'], 'must be at+jwt or any')
      .prefault('at+jwt')
      .describe('at+jwt: only RFC 9068 access tokens. any: any JWT but logout tokens and DPoP proofs.'),
    required_claims: z
      .array(text)
      .prefault([])
      .describe('Claims that must be there beyond what token_type asks for.'),
    clock_skew: duration.prefault('30s').describe('Tolerance for exp and nbf.'),
    future_iat: duration.prefault('5s').describe('How far ahead of our clock iat may be.'),
    max_lifetime: positiveDuration.prefault('24h').describe('Longest accepted exp - iat.'),
    keys: keys.prefault({}).describe('How the key set is kept.'),
    allow_http: z
      .boolean()
      .prefault(false)
      .describe('Allow http:// beyond loopback for keys, introspection and validation.'),
    token_prefix: z
      .string()
      .prefault('')
      .describe("Which opaque tokens are this issuer's, where a route has several opaque issuers."),
  })
  .describe(
    'An issuer of tokens: JWTs (issuer and one source of keys), or opaque ones (introspection or validation).',
  );

const whenStale = z.enum(['deny', 'allow'], 'must be deny or allow');

const nodes = z
  .array(z.string().regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$/, 'must be host:port'))
  .min(1);

const redisLogin = {
  username: text.optional().describe('ACL user.'),
  password: text.optional().describe('Its password; password_file keeps it out of this file.'),
  password_file: text.optional().describe('File that holds the password.'),
  tls: z.boolean().prefault(false).describe('Speak TLS to every node.'),
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

const revocation = z
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

const identityHeaders = z.record(headerName, text);

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
      .prefault({
        'X-User-Id': 'sub',
        'X-Client-Id': 'client_id',
        'X-Scopes': 'scope',
        'X-Token-Issuer': 'iss',
      })
      .describe('Header name to claim path. Dots separate levels; "\\." is a dot in a name.'),
    max_bytes: positiveSize
      .prefault('8KiB')
      .describe('Most bytes of all identity headers of a request; above: 403.'),
    assertion: assertion.optional(),
    forward_authorization: z.boolean().prefault(false).describe('Pass Authorization on to the upstream.'),
  })
  .describe('What upstreams learn of the caller.');

const scopes = z.union(
  [
    z.array(text),
    z.strictObject({
      all: z.array(text).optional().describe('Every one of these.'),
      any: z.array(text).min(1).optional().describe('At least one of these.'),
    }),
  ],
  'must be a list of scopes, or { all: [...], any: [...] }',
);

const auth = z
  .strictObject({
    mode: z
      .enum(['required', 'optional', 'none'], 'must be required, optional or none')
      .prefault('required')
      .describe(
        'required: a token must be sent. optional: no credentials pass as anonymous. none: nothing is examined.',
      ),
    issuers: z
      .array(name)
      .min(1)
      .optional()
      .describe('Whose tokens are accepted. Default: every JWT issuer.'),
    scopes: scopes.prefault([]).describe('Scopes that the token must have.'),
    claims: z
      .record(text, z.array(z.union([z.string(), z.number(), z.boolean()])).min(1))
      .prefault({})
      .describe('Claim path to allowed values: each claim must equal, or contain, one of them.'),
  })
  .describe('Who may pass.');

const match = z
  .strictObject({
    hosts: z
      .array(
        z
          .string()
          .regex(new RegExp(`^(\\*\\.)?${HOST_NAME}$`), 'must be a lower-case host name, or *. and one'),
      )
      .min(1)
      .optional()
      .describe('Host names, without port; *.example.com covers every name below it.'),
    path: routePath.optional().describe('The exact path.'),
    path_prefix: routePath.optional().describe('A prefix of the path, by whole segments.'),
    methods: z
      .array(z.string().regex(/^[A-Z][A-Z-]*$/, 'must be a method in capitals'))
      .min(1)
      .optional()
      .describe('Methods.'),
    headers: z
      .record(headerName, z.string())
      .optional()
      .describe('Headers that must have exactly this value.'),
  })
  .refine(
    (m) => !(m.path !== undefined && m.path_prefix !== undefined),
    'path and path_prefix exclude each other; keep one',
  );

const route = z.strictObject({
  name: name.describe('The only name used in metrics and logs.'),
  match: match.describe('Which requests (Kubernetes Gateway API precedence).'),
  upstream: name.describe('Where they go: a key of upstreams.'),
  auth: auth.prefault({}),
  when_stale: whenStale.optional().describe('Overrides revocation.when_stale.'),
  paths: z
    .strictObject({
      allow: z
        .array(
          z.enum(
            ['encoded_slash', 'empty_segments', 'double_encoding'],
            'must be encoded_slash, empty_segments or double_encoding',
          ),
        )
        .prefault([])
        .describe('Spellings that are 400 by default: %2F, // and %25XX.'),
    })
    .prefault({})
    .describe('The path policy.'),
  rewrite: z
    .strictObject({
      strip_prefix: routePath.optional().describe('Taken from the front of the path, by whole segments.'),
      add_prefix: routePath.optional().describe('Put in front of the path.'),
      host: z
        .literal('preserve')
        .optional()
        .describe("preserve: the upstream gets the client's Host instead of its own."),
    })
    .prefault({})
    .describe('How the request changes on its way.'),
  timeouts: z
    .strictObject({
      response: positiveDuration
        .prefault('30s')
        .describe('How long the upstream may take to begin its answer; beyond it 504.'),
      idle: positiveDuration.prefault('60s').describe('How long its body may pause.'),
    })
    .prefault({})
    .describe("Timeouts of the upstream's answer."),
  retries: z
    .strictObject({ attempts: count.max(10).prefault(1).describe('Extra tries after the first.') })
    .prefault({})
    .describe(
      'Only for idempotent methods without a body, on a connection error before any byte of an answer.',
    ),
  identity: z
    .strictObject({
      headers: identityHeaders.prefault({}).describe('Added to the global ones.'),
      forward_authorization: z.boolean().optional().describe('Overrides identity.forward_authorization.'),
    })
    .prefault({})
    .describe('Identity headers of this route.'),
  upgrade: z
    .array(z.literal('websocket', 'must be websocket'))
    .optional()
    .describe('Protocols that the route may switch to.'),
  streams: z
    .strictObject({
      expired: z
        .enum(['close', 'keep'], 'must be close or keep')
        .prefault('close')
        .describe(
          'What becomes of WebSocket tunnels, event streams and gRPC when their token expires. A revoked token ends them always.',
        ),
    })
    .prefault({})
    .describe('Answers without an end of their own.'),
});

const targetUrl = httpUrl.refine(
  (url) => new URL(url).pathname === '/' && new URL(url).search === '',
  'must be scheme, host and port only; use rewrite.add_prefix for a path',
);

const upstream = z.strictObject({
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

/** The ways to have opaque tokens checked; an issuer has at most one, and a JWT issuer none. */
export const OPAQUE_SOURCES = ['introspection', 'validation'] as const;

export function isOpaqueIssuer(issuer: {
  readonly introspection?: unknown;
  readonly validation?: unknown;
}): boolean {
  return OPAQUE_SOURCES.some((source) => issuer[source] !== undefined);
}

export type UpstreamConfiguration = Configuration['upstreams'][string];

/** The JSON Schema (draft 2020-12) of the file, for editors. */
export function configurationJsonSchema(): object {
  return { title: 'Sallyport configuration', ...z.toJSONSchema(configurationSchema, { io: 'input' }) };
}
