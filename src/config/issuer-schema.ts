/** The shape of `issuers` in the configuration file: JWTs and their keys, or who is asked about opaque tokens. Pure. */
import { z } from 'zod';
import { SIGNATURE_ALGORITHMS } from '../token/algorithms.ts';
import { TOKEN_TYPES } from '../token/token-kind.ts';
import { apiKeys } from './api-keys-schema.ts';
import { claimNames } from './claim-names-schema.ts';
import { issuerClaimRules } from './claim-rule-schema.ts';
import { globalRevocation } from './global-revocation-schema.ts';
import { hostName } from './host-scalars.ts';
import { introspectionAuthentication } from './introspection-auth-schema.ts';
import { issuerHttp } from './issuer-http-schema.ts';
import { provider } from './provider-schema.ts';
import { KEY_SOURCES } from './key-sources.ts';
import { statusList } from './status-list-schema.ts';
import { tenancy } from './tenancy-schema.ts';
import { count, duration, headerName, httpUrl, positiveDuration, routePath, text } from './scalars.ts';

const MAX_FAILURE_CACHE_MS = 60_000;

const opaqueResponses = (cache: string) => ({
  cache: duration
    .prefault(cache)
    .describe(
      'How long a response that accepts a token is cached, at most until its exp. A token that its server revokes still passes for this time. 0s: it is not cached. Shorten it if your server is the place where tokens are revoked.',
    ),
  negative_cache: duration
    .prefault('5s')
    .describe('How long a response that refuses a token is cached. 0s: it is not cached.'),
  failure_cache: duration
    .refine((ms) => ms <= MAX_FAILURE_CACHE_MS, 'must be 1m or shorter, since the token may be good')
    .prefault('1s')
    .describe(
      'How long a token that the server could not judge (a status such as 500, no JSON, a timeout) is refused with 503 before the server is asked about it again. Other tokens are not affected. At most 1m; 0s: it is asked at once.',
    ),
  per_client: z
    .strictObject({
      in_flight: count
        .prefault(64)
        .describe(
          'Largest number of calls at the same time. 0: no limit. Raise it if many users share one address.',
        ),
      per_second: count
        .prefault(1000)
        .describe(
          'Largest number of calls in a second. 0: no limit. Raise it if many users share one address.',
        ),
    })
    .prefault({})
    .describe(
      'How many calls to the server one client address (IPv6: one /64) may cause with tokens that are not cached; more are refused with 503. It stops one client with made-up tokens from using up what the server allows the gateway. Name your load balancers in trusted_proxies, or all their clients count as one.',
    ),
  timeout: positiveDuration
    .prefault('2s')
    .describe('How long the server may take to respond; then the request is refused with 503.'),
});

const introspection = z
  .strictObject({
    url: httpUrl.describe('URL of the introspection endpoint.'),
    ...introspectionAuthentication,
    ...opaqueResponses('30s'),
    jwt: z
      .boolean()
      .prefault(false)
      .describe(
        'Introspects JWTs too, except those whose iss belongs to a JWT issuer of the route. Set it if the server issues JWTs that it must judge itself.',
      ),
  })
  .describe(
    'An authorization server that judges opaque tokens by RFC 7662 (token introspection). Beside keys it is asked about JWTs, only on routes with auth.fresh, and nothing is cached.',
  );

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
    url: httpUrl.describe('URL of the service.'),
    method: z
      .enum(['GET', 'POST'], 'must be GET or POST')
      .prefault('POST')
      .describe('HTTP method of the call.'),
    send: z
      .strictObject({
        in: z
          .enum(['json', 'form', 'header'], 'must be json, form or header')
          .prefault('json')
          .describe(
            'Where the token is sent. json: in a member of a JSON object. form: in a form field. header: in a header.',
          ),
        name: text
          .optional()
          .describe('Name of the member, field or header. Default: token; for a header, Authorization.'),
        value: z
          .string()
          .regex(/^[\x20-\x7e]*\{token\}[\x20-\x7e]*$/, 'must be printable ASCII with {token} in it')
          .optional()
          .describe(
            'Its value; {token} stands for the token. Default: {token}; for the header Authorization, "Bearer {token}".',
          ),
      })
      .prefault({})
      .describe('How the token is sent to the service. Default: POST {"token": "..."}.'),
    headers: z
      .record(
        headerName,
        z.string().regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, 'must be printable ASCII'),
      )
      .prefault({})
      .describe('Further headers of the call, such as an API key of the service.'),
    valid: statuses.prefault(['2xx']).describe('Response statuses that mean that the token is valid.'),
    invalid: statuses
      .prefault([401, 403, 404])
      .describe(
        'Response statuses that mean that the token is not valid. Any other status says nothing about the token, which is refused with 503; other tokens are not affected.',
      ),
    active: jsonPointer
      .optional()
      .describe(
        'JSON pointer (RFC 6901) to a boolean in the response. false refuses the token even if the status means valid. Set it if the service responds with 200 for invalid tokens, too.',
      ),
    claims: jsonPointer
      .optional()
      .describe(
        'JSON pointer to the object with the claims; "" is the whole response. Absent: the token has no claims but those of claim_pointers.',
      ),
    claim_pointers: z
      .record(text, jsonPointer)
      .prefault({})
      .describe('Claim name to JSON pointer, for claims elsewhere in the response.'),
    ...opaqueResponses('10s'),
  })
  .describe('A service that judges opaque tokens by an API other than RFC 7662.');

export const keys = z.strictObject({
  refresh: positiveDuration
    .prefault('5m')
    .describe('How often the key set is fetched. A token with an unknown key id causes a fetch before that.'),
  max_stale: positiveDuration
    .prefault('24h')
    .describe(
      'How long the last good keys are used while the endpoint is down; then tokens are refused with 503.',
    ),
  cache_dir: text
    .optional()
    .describe(
      'Folder that stores the last good key set (public keys only). Set it so that a gateway can start while the endpoint is down. It is read if the first fetch fails; keys older than max_stale are not used. Only the user of the gateway may write to it (chmod 700). Absent: key sets are not stored.',
    ),
});

export const issuer = z
  .strictObject({
    provider: provider.optional(),
    issuer: text
      .optional()
      .describe(
        'The exact iss of its tokens. With {tenant} as one segment of its path, such as https://login.microsoftonline.com/{tenant}/v2.0, an iss for each of tenants; claim_names.tenant names the claim that must be that tenant. For opaque tokens: the only iss that a response may have; without it, every iss is accepted that does not belong to an issuer on another server.',
      ),
    ...tenancy,
    discovery: z
      .literal(true)
      .optional()
      .describe(
        'Finds the URL of the key set by OpenID Connect Discovery or RFC 8414; with {tenant} in issuer, at the address with common in its place, whose metadata must name the template as its issuer. Set it, or one of jwks_url, jwks_file, jwks and hmac_secret_file.',
      ),
    jwks_url: httpUrl
      .optional()
      .describe('URL of the key set (RFC 7517). Use it if the issuer has no discovery document.'),
    jwks_file: text
      .optional()
      .describe('File that contains the key set. Use it if the gateway cannot reach the issuer.'),
    jwks: z
      .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).describe('Public keys as JWKs.') })
      .optional()
      .describe('The key set, in this file.'),
    hmac_secret: text
      .optional()
      .describe(
        'Shared secret for HS256, HS384 and HS512. Prefer hmac_secret_file, which keeps it out of this file. Beside a key set, while an issuer goes over from a secret to keys: HS* is then for the secret alone, everything else for the key set alone. Remove it once no token with HS* is valid any more.',
      ),
    hmac_secret_file: text
      .optional()
      .describe(
        'File that contains the shared secret. One line end at the end of the file is not part of it.',
      ),
    introspection: introspection.optional(),
    validation: validation.optional(),
    api_keys: apiKeys.optional(),
    http: issuerHttp.optional(),
    backchannel_logout: z
      .strictObject({
        host: hostName.describe('Host name of the logout endpoint, without port.'),
        path: routePath.describe('Exact path of the logout endpoint.'),
        client_ids: z
          .array(text)
          .min(1)
          .describe(
            'Client ids of the clients whose logouts are accepted: aud of a logout token must contain one of them.',
          ),
        ends: z
          .enum(['session', 'subject', 'both'], 'must be session, subject or both')
          .prefault('session')
          .describe(
            'What is revoked by a logout that names a session (sid) and a subject (sub). session: the session. subject: all tokens that the subject had until then. both: both. Choose subject or both if access tokens carry no sid: session then revokes none of them. A logout that names one of the two revokes that one.',
          ),
      })
      .optional()
      .describe(
        'Endpoint on the public listeners where this issuer reports logouts (OpenID Connect Back-Channel Logout 1.0). A logout revokes what ends says.',
      ),
    global_token_revocation: globalRevocation.optional(),
    status_list: statusList.optional(),
    audiences: z
      .array(text)
      .min(1)
      .optional()
      .describe(
        'Audiences of your API: aud of a token must contain at least one of them. Without it, tokens that were issued for other services pass.',
      ),
    algorithms: z
      .array(z.enum(SIGNATURE_ALGORITHMS, `must be one of ${SIGNATURE_ALGORITHMS.join(', ')}`))
      .min(1)
      .optional()
      .describe(
        'Accepted signature algorithms. Default: RS256, PS256, ES256 and EdDSA; with a shared secret, HS256; with a secret and a key set, all of these. Name the one that your issuer uses. ML-DSA-44, ML-DSA-65 and ML-DSA-87 (RFC 9964) are never a default: their tokens are 4 to 7 KB long, so look at limits.token_bytes and limits.header_bytes, too.',
      ),
    token_type: z
      .enum(TOKEN_TYPES, 'must be at+jwt, any or id_token')
      .prefault('at+jwt')
      .describe(
        'Which kind of token is accepted. at+jwt: only RFC 9068 access tokens; azp and the claims of claim_names.client count as client_id, and sub may be absent where a client acts for itself (add sub to required_claims if you need a user). any: plain JWTs, too, except those that are known to be refresh, ID or logout tokens or proofs; for issuers that do not set typ. id_token: ID tokens, too, for providers whose bearer tokens are ID tokens (Google, Firebase); it requires audiences. Refresh and logout tokens never pass.',
      ),
    required_claims: z
      .array(text)
      .prefault([])
      .describe(
        'Claims that a token must have besides those that token_type requires. With token_type: any, name one that only access tokens carry, such as scope.',
      ),
    claim_names: claimNames,
    claims: issuerClaimRules
      .prefault({})
      .describe(
        'Claim path to rule, for every token of this issuer: a value or a list of values of which the claim must equal or contain one, { equals }, { prefix }, { has_key } or { absent: true }. All rules must hold; otherwise 401. Set it if your provider sends no aud, for example client_id: [my-app].',
      ),
    clock_skew: duration
      .prefault('30s')
      .describe('Tolerance for exp and nbf. Raise it only if the clock of the issuer is wrong.'),
    future_iat: duration.prefault('5s').describe('How far iat may be ahead of the clock of the gateway.'),
    max_lifetime: positiveDuration
      .prefault('24h')
      .describe(
        'Longest accepted lifetime of a token (exp - iat). A token that lives longer is refused. Shorten it to what your issuer sets.',
      ),
    keys: keys.prefault({}).describe('How the key set is fetched and stored.'),
    allow_http: z
      .boolean()
      .prefault(false)
      .describe(
        'Allows http:// URLs beyond loopback for keys, introspection, validation and status lists. Do not set it in production: anyone on the network path can forge keys and responses.',
      ),
    token_prefix: z
      .string()
      .regex(
        /^[A-Za-z0-9._~+/|-]*$/,
        'must be of characters that tokens have: A-Z a-z 0-9 . _ ~ + / - and, with validation, |',
      )
      .prefault('')
      .describe(
        'Prefix of the opaque tokens of this issuer. Required if a route names several opaque issuers.',
      ),
  })
  .describe(
    'An issuer of JWTs (issuer and one source of keys), of opaque tokens (introspection or validation), or of API keys (api_keys).',
  );

/** The ways to have opaque tokens checked; an issuer has at most one. A JWT issuer may have introspection for `auth.fresh`. */
export const OPAQUE_SOURCES = ['introspection', 'validation'] as const;

type Source = (typeof OPAQUE_SOURCES)[number] | (typeof KEY_SOURCES)[number];

/** Does the gateway itself know its keys? Its name stands for their `iss`. */
export function isKeyIssuer(issuer: { readonly api_keys?: unknown }): boolean {
  return issuer.api_keys !== undefined;
}

export function isOpaqueIssuer(issuer: Readonly<Partial<Record<Source, unknown>>>): boolean {
  const hasKeys = KEY_SOURCES.some((source) => issuer[source] !== undefined);
  return !hasKeys && OPAQUE_SOURCES.some((source) => issuer[source] !== undefined);
}
