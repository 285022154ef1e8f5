/** The shape of `routes[].auth` in the configuration file: who may use a route. Pure. */
import { z } from 'zod';
import { routeClaimRules } from './claim-rule-schema.ts';
import { duration, name, text } from './scalars.ts';

const scopes = z.union(
  [
    z.array(text),
    z.strictObject({
      all: z.array(text).optional().describe('The token must have all of these scopes.'),
      any: z.array(text).min(1).optional().describe('The token must have at least one of these scopes.'),
    }),
  ],
  'must be a list of scopes, or { all: [...], any: [...] }',
);

export const routeAuth = z
  .strictObject({
    mode: z
      .enum(['required', 'optional', 'none'], 'must be required, optional or none')
      .prefault('required')
      .describe(
        'Whether a token is required. required: a request without a token gets 401. optional: a request without credentials passes as anonymous; a bad token is still refused. none: tokens are not examined; for public paths.',
      ),
    issuers: z
      .array(name)
      .min(1)
      .optional()
      .describe(
        'Issuers whose tokens are accepted, as keys of issuers. Default: every JWT issuer. An opaque issuer must be named here.',
      ),
    scopes: scopes
      .prefault([])
      .describe(
        'Scopes that the token must have: a list of which all are required, or { all, any }. Otherwise 403.',
      ),
    claims: routeClaimRules
      .prefault({})
      .describe(
        'Claim path to rule. A value or a list of values: the claim must equal one of them, or contain one if it is a list. Other rules: { equals }, { prefix }, { has_key }, { absent: true }, { path }. All rules must hold; otherwise 403.',
      ),
    any_of: z
      .array(
        z.strictObject({
          scopes: scopes.prefault([]).describe('Scopes that the token must have, as in auth.scopes.'),
          claims: routeClaimRules.prefault({}).describe('Claim rules that must hold, as in auth.claims.'),
        }),
      )
      .min(1)
      .optional()
      .describe(
        'Alternatives, of which at least one must hold besides scopes and claims. Use it if callers are permitted in different ways, such as users by scopes and services by roles. Otherwise 403.',
      ),
    sender_constrained: z
      .enum(['optional', 'required'], 'must be optional or required')
      .optional()
      .describe(
        'Accepts tokens that are bound to a key of the client, each with a DPoP proof that passes once (RFC 9449). required: a token that is bound to no key and no certificate is refused. optional: such tokens still pass as Bearer. Absent: no proofs are accepted, and tokens that are bound to a key are refused. Tokens that are bound to a certificate (RFC 8705) pass on every route, with that certificate alone. Needs public_url of the route or of its listeners, or exact match.hosts.',
      ),
    acr: z
      .array(
        z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be printable ASCII without spaces, " and \\'),
      )
      .min(1)
      .optional()
      .describe(
        'Authentication context classes (claim acr), of which the token must have one. Otherwise 401 with acr_values, so that the client can ask for a stronger login (RFC 9470).',
      ),
    max_auth_age: duration
      .refine((ms) => ms >= 1_000 && ms % 1_000 === 0, 'must be whole seconds, 1s or more')
      .optional()
      .describe(
        'How long ago the login may be (claim auth_time), in whole seconds. An older one, and one that is missing or in the future, gets 401 with max_age, so that the client can ask for a new login (RFC 9470).',
      ),
    report_only: z
      .boolean()
      .prefault(false)
      .describe(
        'Lets requests pass that lack a valid token or permission, but counts and logs them (decision "report"). Use it to try a new rule. Paths, framing and limits are still enforced.',
      ),
    fresh: z
      .boolean()
      .prefault(false)
      .describe(
        'Asks the server of the issuer about each request: the JWT and the introspection response must both pass, subject and client must agree, and the scopes are those that both have. No cache and no call of another request counts. Every issuer of the route needs introspection beside its keys. Set it where a token that was just revoked at the server must not pass; each request then waits for the server, and is refused with 503 while it is down.',
      ),
    websocket_protocol: z
      .boolean()
      .prefault(false)
      .describe(
        'Accepts the token of a WebSocket handshake in Sec-WebSocket-Protocol, as "bearer, TOKEN". Set it for browsers, which cannot send Authorization with a handshake. The upstream sees neither of the two.',
      ),
  })
  .describe('Who may use the route.');
