/** The shape of `routes` in the configuration file: which requests, who may pass, and how they go on. Pure. */
import { z } from 'zod';
import { hostPattern } from './host-scalars.ts';
import {
  count,
  duration,
  headerName,
  identityHeaders,
  name,
  positiveDuration,
  routePath,
  text,
  whenStale,
} from './scalars.ts';

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

/** A number that no other number is read as. */
const exactNumber = z
  .number()
  .refine(
    (value) => Math.abs(value) <= Number.MAX_SAFE_INTEGER,
    'is too large to be compared exactly; let the issuer send such a claim as a string, and write a string here',
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
      .record(text, z.array(z.union([z.string(), exactNumber, z.boolean()])).min(1))
      .prefault({})
      .describe('Claim path to allowed values: each claim must equal, or contain, one of them.'),
    report_only: z
      .boolean()
      .prefault(false)
      .describe(
        'Let requests pass that would be refused for want of a token or of permission, but count and log them (decision "report"). Paths, framing and limits are enforced all the same.',
      ),
    websocket_protocol: z
      .boolean()
      .prefault(false)
      .describe(
        'A WebSocket handshake may bring its token as Sec-WebSocket-Protocol "bearer, TOKEN", since browsers can send no Authorization with it. The upstream sees neither.',
      ),
  })
  .describe('Who may pass.');

/** As browsers send it (Fetch Standard, section 3.2), `*`, or `*.` before a host name of two labels or more. */
const ORIGIN =
  /^(?:\*|[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?|https?:\/\/\*(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)+\.(?![0-9.]*(?::|$))[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?::[0-9]{1,5})?)$/;

const match = z
  .strictObject({
    hosts: z
      .array(hostPattern)
      .min(1)
      .optional()
      .describe(
        'Host names, without port; *.example.com covers every name below it. Capital letters and a dot at the end make no difference, here and in requests.',
      ),
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

export const route = z.strictObject({
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
      strip_prefix: routePath
        .optional()
        .describe(
          'Taken from the front of the path, by whole segments. The upstream gets it as X-Forwarded-Prefix, which services use for links to themselves.',
        ),
      add_prefix: routePath.optional().describe('Put in front of the path.'),
      host: z
        .literal('preserve')
        .optional()
        .describe(
          "preserve: the upstream gets the client's Host instead of its own, in lower case, without a dot at the end and without a default port.",
        ),
    })
    .prefault({})
    .describe('How the request changes on its way.'),
  cors: z
    .strictObject({
      origins: z
        .array(
          z
            .string()
            .regex(
              ORIGIN,
              'must be an origin as browsers send it, such as https://app.example.com, or *, or https://*. and two labels or more',
            ),
        )
        .min(1)
        .describe(
          'Whose scripts may use the route: exact origins; https://*.example.com for every host below that name (whole labels, same scheme and port, not the name itself); or * alone for every origin.',
        ),
      methods: z
        .array(z.string().regex(/^[A-Z][A-Z-]*$/, 'must be a method in capitals'))
        .min(1)
        .prefault(['GET', 'HEAD', 'POST'])
        .describe('Methods that they may use.'),
      headers: z
        .array(headerName)
        .prefault(['authorization', 'content-type'])
        .describe('Headers that they may set.'),
      expose_headers: z
        .array(headerName)
        .prefault([])
        .describe(
          'Headers of responses that scripts may read, besides WWW-Authenticate, DPoP-Nonce, Retry-After, X-Request-Id and those that the upstream itself exposes.',
        ),
      credentials: z.boolean().prefault(false).describe('May cookies and the like go with their requests?'),
      max_age: duration.prefault('10m').describe('How long browsers may remember a preflight answer.'),
    })
    .optional()
    .describe(
      'Cross-origin requests. Preflights are answered by the gateway and need no token; every answer of the route carries what browsers ask for, refusals too.',
    ),
  timeouts: z
    .strictObject({
      response: positiveDuration
        .prefault('30s')
        .describe('How long the upstream may take to begin its answer; beyond it 504.'),
      idle: positiveDuration
        .prefault('60s')
        .describe(
          'How long an answer may pause, and how long a client may: with its upload, of which at least 1 KiB must come in this time, or with taking what it was sent.',
        ),
    })
    .prefault({})
    .describe("Timeouts of the upstream's answer."),
  retries: z
    .strictObject({
      attempts: count.max(10, 'must be 10 or less').prefault(1).describe('Extra tries after the first.'),
    })
    .prefault({})
    .describe(
      'Only for idempotent methods without a body, on a connection error before any byte of an answer.',
    ),
  identity: z
    .strictObject({
      headers: identityHeaders
        .prefault({})
        .describe(
          'Added to the global ones: a name that is there is replaced (whatever its case, and with _ or . for -), null takes it out for this route.',
        ),
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
