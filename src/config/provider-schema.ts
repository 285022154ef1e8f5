/** The shape of `provider` of an issuer. Pure. */
import { z } from 'zod';
import { PROVIDERS } from './provider-presets.ts';

export const provider = z
  .enum(PROVIDERS, `must be one of ${PROVIDERS.join(', ')}`)
  .describe(
    'Which product issues its tokens: keycloak, entra, auth0, okta, cognito, google, firebase, kubernetes, github-actions, zitadel, authentik, supabase, clerk, workos, hydra, spring or duende. It sets token_type, required_claims, claims, claim_names and tolerances as its tokens need them; sallyport check --expand prints what. Your own keys count: claims and claim_names are merged by name (null takes a rule out), required_claims are added to (an empty list takes all out), every other key replaces. Set it unless your issuer is none of them.',
  );
