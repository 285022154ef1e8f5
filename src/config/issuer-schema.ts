/** The shape of `issuers` in the configuration file: JWTs and their keys, or who is asked about opaque tokens. Pure. */
import { z } from 'zod';
import { SIGNATURE_ALGORITHMS } from '../token/algorithms.ts';
import { TOKEN_TYPES } from '../token/token-kind.ts';
import { hostName } from './host-scalars.ts';
import { count, duration, headerName, httpUrl, positiveDuration, routePath, text } from './scalars.ts';

const MAX_FAILURE_CACHE_MS = 60_000;

const opaqueResponses = (cache: string) => ({
  cache: duration
    .prefault(cache)
    .describe(
      'How long a response that accepts a token is used, never beyond its exp. A token that its server revokes passes for that long. 0s: not at all.',
    ),
  negative_cache: duration
    .prefault('5s')
    .describe('How long a response that refuses a token is used. 0s: not at all.'),
  failure_cache: duration
    .refine((ms) => ms <= MAX_FAILURE_CACHE_MS, 'must be 1m or shorter, since the token may be good')
    .prefault('1s')
    .describe(
      'How long a token that the server could not judge (a status such as 500, no JSON, a timeout) gets 503 before the server is asked about it again. It concerns that token alone. At most 1m; 0s: not at all.',
    ),
  per_client: z
    .strictObject({
      in_flight: count
        .prefault(64)
        .describe('Most calls at a time. 0: no limit. Raise it where many users share one address.'),
      per_second: count
        .prefault(1000)
        .describe('Most calls in a second. 0: no limit. Raise it where many users share one address.'),
    })
    .prefault({})
    .describe(
      'How much of the server one client address (IPv6: one /64) may use, with tokens that are not cached; beyond it: 503. So that one client with made-up tokens does not use up what the server allows the gateway. Name your load balancers in trusted_proxies, else all their clients count as one.',
    ),
  timeout: positiveDuration.prefault('2s').describe('How long the response may take.'),
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
    ...opaqueResponses('30s'),
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
      .describe(
        'Statuses that mean: it is not. Any other status says nothing about the token: 503, for that token alone.',
      ),
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
    ...opaqueResponses('10s'),
  })
  .describe('A service that validates opaque tokens but is not RFC 7662.');

const keys = z.strictObject({
  refresh: positiveDuration.prefault('5m').describe('How often the key set is fetched anew.'),
  max_stale: positiveDuration.prefault('24h').describe('How long keys are used while the endpoint is down.'),
  cache_dir: text
    .optional()
    .describe(
      'Folder that keeps the last good key set (public keys only) for a gateway that starts while the endpoint is down. It is read after the first fetch has failed, never beyond max_stale. Only the user of the gateway may write to it (chmod 700). Absent: nothing is kept.',
    ),
});

export const issuer = z
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
        ends: z
          .enum(['session', 'subject', 'both'], 'must be session, subject or both')
          .prefault('session')
          .describe(
            'What a logout that names a session (sid) and a subject (sub) ends: the session for good; everything that the subject had until then; or both. Choose subject or both where access tokens carry no sid: a session then ends none of them. A logout that names one of the two ends that one.',
          ),
      })
      .optional()
      .describe(
        'OpenID Connect Back-Channel Logout 1.0: where this issuer tells of logouts, on the public listeners. A logout revokes as ends says.',
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
      .enum(TOKEN_TYPES, 'must be at+jwt, any or id_token')
      .prefault('at+jwt')
      .describe(
        'at+jwt: only RFC 9068 access tokens. any: for issuers of plain JWTs; what is known to be a refresh, ID or logout token or a proof is refused. id_token: ID tokens too, for providers whose bearer tokens are ID tokens (Google, Firebase); it needs audiences. Refresh and logout tokens never pass.',
      ),
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

/** The ways to have opaque tokens checked; an issuer has at most one, and a JWT issuer none. */
export const OPAQUE_SOURCES = ['introspection', 'validation'] as const;

export function isOpaqueIssuer(issuer: {
  readonly introspection?: unknown;
  readonly validation?: unknown;
}): boolean {
  return OPAQUE_SOURCES.some((source) => issuer[source] !== undefined);
}
