/** The shape of `routes` in the configuration file: which requests, who may pass, and how they go on. Pure. */
import { z } from 'zod';
import { hostPattern } from './host-scalars.ts';
import { publicUrl, resource } from './resource-schema.ts';
import { rateLimits } from './rate-limit-schema.ts';
import { routeAuth } from './route-auth-schema.ts';
import { routeUpstream, sticky } from './route-upstream-schema.ts';
import {
  count,
  duration,
  headerName,
  identityHeaders,
  name,
  positiveDuration,
  routePath,
  whenStale,
} from './scalars.ts';

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
        'Host names of the request, without port; *.example.com matches every name below it. Case and a dot at the end do not count, here and in requests. Absent: every host.',
      ),
    path: routePath.optional().describe('Exact path of the request.'),
    path_prefix: routePath
      .optional()
      .describe('Prefix of the path, by whole segments: /a matches /a and /a/b, but not /ab.'),
    methods: z
      .array(z.string().regex(/^[A-Z][A-Z-]*$/, 'must be a method in capitals'))
      .min(1)
      .optional()
      .describe('Methods of the request. Absent: every method.'),
    headers: z
      .record(headerName, z.string())
      .optional()
      .describe('Headers that the request must have, each with exactly this value.'),
  })
  .refine(
    (m) => !(m.path !== undefined && m.path_prefix !== undefined),
    'path and path_prefix exclude each other; keep one',
  );

export const route = z.strictObject({
  name: name.describe('Name of the route in metrics, logs and messages.'),
  match: match.describe(
    'Which requests the route serves. The most specific route wins, as in the Kubernetes Gateway API.',
  ),
  upstream: routeUpstream.describe(
    'Upstream that its requests are forwarded to: a key of upstreams. Or a list of upstreams, to share requests by weight or to choose by claims, as for a canary. A retry stays with the upstream that was chosen; where that is down, no other takes over.',
  ),
  sticky: sticky
    .optional()
    .describe(
      'subject: requests of one subject (of one client, where the token has no subject) go to the same upstream of those with a weight, through every gateway and restart; new weights move as few subjects as possible. Absent: each request is shared out by itself. Set it where the versions of a service differ for users.',
    ),
  public_url: publicUrl
    .optional()
    .describe(
      'URL by which clients reach what the route serves, such as https://api.example.com/mcp. Its path is the path of the match or stands above it. Clients write this scheme, host and port into DPoP proofs; with resource it is the identifier of the protected resource. Default: public_url of the listener. Set it where several listeners or hosts lead here.',
    ),
  resource: resource
    .optional()
    .describe(
      'The route belongs to a protected resource (RFC 9728), whose identifier is public_url of the route, else of its listener: true, or { name, documentation, authorization_servers, signed_metadata }. Clients find its metadata by the challenge of a refusal; aud of tokens must hold the identifier, and audiences of the issuer do not count here. Set it for MCP servers, and for clients that are to find their authorization server by themselves.',
    ),
  auth: routeAuth.prefault({}),
  rate_limits: rateLimits
    .prefault([])
    .describe(
      'How many requests each caller may send to the route, besides rate_limits for all routes. Several limits count at once: a request passes where all let it. A request beyond a limit gets 429.',
    ),
  when_stale: whenStale.optional().describe('Overrides revocation.when_stale for this route.'),
  when_replay_unknown: whenStale.optional().describe('Overrides dpop.when_replay_unknown for this route.'),
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
        .describe(
          'Path spellings to accept that are refused with 400 by default: encoded_slash (%2F), empty_segments (//), double_encoding (%25XX). Allow one only if the upstream needs it.',
        ),
    })
    .prefault({})
    .describe('Which unusual spellings of a path are accepted.'),
  rewrite: z
    .strictObject({
      strip_prefix: routePath
        .optional()
        .describe(
          'Prefix that is removed from the path, by whole segments. The upstream gets it as X-Forwarded-Prefix, which services use for links to themselves.',
        ),
      add_prefix: routePath
        .optional()
        .describe('Prefix that is put in front of the path, after strip_prefix.'),
      host: z
        .literal('preserve')
        .optional()
        .describe(
          'preserve: the upstream gets the Host of the client, in lower case, without a dot at the end and without a default port. Absent: it gets the host of its own URL. Set it for services that serve several hosts.',
        ),
    })
    .prefault({})
    .describe('How the request is changed for the upstream.'),
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
          'Origins whose scripts may use the route: exact origins; https://*.example.com for every host below that name (whole labels, same scheme and port, not the name itself); or * alone for every origin.',
        ),
      methods: z
        .array(z.string().regex(/^[A-Z][A-Z-]*$/, 'must be a method in capitals'))
        .min(1)
        .prefault(['GET', 'HEAD', 'POST'])
        .describe('Methods that their scripts may use.'),
      headers: z
        .array(headerName)
        .prefault(['authorization', 'content-type'])
        .describe('Request headers that their scripts may set.'),
      expose_headers: z
        .array(headerName)
        .prefault([])
        .describe(
          'Response headers that scripts may read besides WWW-Authenticate, DPoP-Nonce, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id and those that the upstream itself exposes.',
        ),
      credentials: z
        .boolean()
        .prefault(false)
        .describe(
          'Lets browsers send cookies and other credentials with these requests. Bearer tokens do not need it.',
        ),
      max_age: duration.prefault('10m').describe('How long browsers may cache a preflight response.'),
    })
    .optional()
    .describe(
      'Cross-origin requests of browsers (CORS). The gateway responds to preflights itself, without a token; every response of the route, refusals too, carries the CORS headers. Set it if pages of another origin use the route.',
    ),
  timeouts: z
    .strictObject({
      response: positiveDuration
        .prefault('30s')
        .describe(
          'How long the upstream may take to begin its response; then the client gets 504. Raise it for slow reports.',
        ),
      idle: positiveDuration
        .prefault('60s')
        .describe(
          'How long a response may pause, and how long a client may: it must send at least 1 KiB of its upload in this time (of gRPC: any part of a message), and read what it was sent. Raise it for event streams and gRPC streams that pause longer. A WebSocket may be silent; it ends where the other side does not respond to TCP keepalive, about a minute after the last byte.',
        ),
    })
    .prefault({})
    .describe('Timeouts of the response and of the bodies.'),
  retries: z
    .strictObject({
      attempts: count
        .max(10, 'must be 10 or less')
        .prefault(1)
        .describe('Number of further tries after the first. 0: no retries.'),
    })
    .prefault({})
    .describe(
      'Retries on another connection. Only requests with an idempotent method and no body are sent again, after a connection error before any byte of a response.',
    ),
  identity: z
    .strictObject({
      headers: identityHeaders
        .prefault({})
        .describe(
          'Merged over identity.headers for this route: an entry replaces the same name (case does not count, and _ or . count as -), null removes it.',
        ),
      forward_authorization: z
        .boolean()
        .optional()
        .describe('Overrides identity.forward_authorization for this route.'),
    })
    .prefault({})
    .describe('What the upstream of this route learns about the caller.'),
  upgrade: z
    .array(z.literal('websocket', 'must be websocket'))
    .optional()
    .describe(
      'Protocols that a request may switch to by Upgrade. Absent: such a request is refused with 403.',
    ),
  streams: z
    .strictObject({
      expired: z
        .enum(['close', 'keep'], 'must be close or keep')
        .prefault('close')
        .describe(
          'What happens to WebSocket tunnels, event streams and gRPC calls when their token expires. close: they are closed. keep: they go on. A revoked token always closes them.',
        ),
    })
    .prefault({})
    .describe('Long-lived responses: WebSocket tunnels, event streams and gRPC.'),
});
