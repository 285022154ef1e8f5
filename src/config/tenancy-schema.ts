/** Keys of an issuer whose tokens have no `iss`, or one for each of many tenants. Pure. */
import { z } from 'zod';
import { TENANT } from '../token/issuer-template.ts';

export const tenancy = {
  no_iss: z
    .literal(true)
    .optional()
    .describe(
      'Its tokens have no iss, as those of home-grown issuers: a token with any iss is refused. Only routes that name this issuer, and no other, in auth.issuers accept them, since nothing but the key says who issued them. The admin API knows it by its configured name.',
    ),
  tenants: z
    .union(
      [z.literal('any'), z.array(z.string().regex(TENANT)).min(1)],
      'must be a list of tenants, each of letters, digits and "-", or any',
    )
    .optional()
    .describe(
      'Whose tokens are accepted, where issuer has {tenant}: what stands in its place. any: those of every customer of the provider; then claims must have a rule on a role, a scope or the client. List them wherever you know them. Keys are fetched once for all; a key whose JWK names the issuer of one tenant signs for that tenant only.',
    ),
};
