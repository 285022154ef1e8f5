/** The shape of `admin.auth`: who may use the admin API with a token of an issuer. Pure. */
import { z } from 'zod';
import { text } from './scalars.ts';

const scope = (may: string): z.ZodOptional<typeof text> =>
  text.optional().describe(`Scope of those who may ${may}. Without it, only admin tokens can.`);

export const adminAuth = z
  .strictObject({
    issuer: text.describe(
      'Configured name of the issuer. It must issue JWT access tokens, and have one issuer URL.',
    ),
    audience: text.describe(
      'Audience that such a token needs. Register one for the admin API alone: it must not be among the audiences of any issuer, or else every token of an application would be good here.',
    ),
    scopes: z
      .strictObject({
        read: scope('see the status, the lists, the traffic, and recent refusals and sessions'),
        revoke: scope('also revoke, undo a revocation, and explain a request'),
        operate: scope('also refresh keys, and create and rotate API keys'),
      })
      .refine((scopes) => Object.values(scopes).some((value) => value !== undefined), {
        error: 'gives no role to any token; set at least one of read, revoke and operate',
      })
      .describe('Which scope of a token gives which role. Each role includes those before it.'),
    name_claim: text
      .prefault('sub')
      .describe(
        'Claim path of the name in the audit log and in created_by. Choose one that its holder cannot change.',
      ),
  })
  .describe(
    'Signs operators in at the admin API and the admin page with access tokens of an issuer, so that the audit log has their names. Admin tokens go on to work, also while the issuer is down.',
  );
