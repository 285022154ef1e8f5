/** The shape of `claim_names` of an issuer: which claims of its tokens say who is calling. Pure. */
import { z } from 'zod';
import { isClaimPath } from '../token/claims.ts';

const NO_PATH = 'is no claim path; write names joined by dots, with "\\." for a dot in a name';
const path = z.string().refine(isClaimPath, NO_PATH);

/** @param why one path only, for a user who writes a list */
const onePath = (why: string) =>
  z
    .string({
      error: ({ input }) => (Array.isArray(input) ? `takes one claim path, ${why}; choose one` : undefined),
    })
    .refine(isClaimPath, NO_PATH)
    .nullable();
const paths = z.union([path, z.array(path).min(1)]).nullable();

export const claimNames = z
  .strictObject({
    subject: onePath('since a revocation must find the user by one id')
      .prefault('sub')
      .describe(
        'Claim with the user, or with the client that calls for itself: $subject. One path. Choose a claim that the issuer never gives to another user; an e-mail address or a user name can pass to another person.',
      ),
    client: paths
      .prefault(['client_id', 'azp', 'cid', 'appid'])
      .describe(
        'Claim with the client (application) that got the token: $client. A path, or a list of paths.',
      ),
    scopes: paths
      .prefault(['scope', 'scp'])
      .describe(
        'Claim with the scopes, as a list or a text with spaces: $scopes, and what auth.scopes compares. A path, or a list of paths.',
      ),
    session: paths
      .prefault(['sid', 'session_id'])
      .describe('Claim with the login session: $session. A path, or a list of paths.'),
    tenant: onePath('so that a tenant has one name')
      .prefault(null)
      .describe('Claim with the tenant (organization, directory): $tenant. One path.'),
    login_time: z
      .union([path, z.array(path).min(1)])
      .prefault('auth_time')
      .describe(
        'Claim with the time of login, a NumericDate: auth.max_auth_age compares it, and so does the revocation of a subject, for which auth_time counts as well. A path, or a list of paths, of which each that is present counts.',
      ),
  })
  .prefault({})
  .describe(
    'Where the tokens of this issuer keep the facts about the caller. Of several paths the first that is present counts; for revocation, each of them. null: its tokens do not say, and a revocation of that kind is refused. Missing, null and "" are absent; a claim of another type than text makes the token invalid (401), except for login_time.',
  );

export type ClaimNamesConfiguration = z.output<typeof claimNames>;
