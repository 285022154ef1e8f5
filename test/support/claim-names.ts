/** `claim_names` as the configuration would have them compiled. */
import { compileClaimNames } from '../../src/assembly/compile-claim-names.ts';
import { claimNames } from '../../src/config/claim-names-schema.ts';
import type { ClaimNames } from '../../src/token/claim-names.ts';

/** What is not named has its default. */
export function claimNamesOf(configured: unknown = {}): ClaimNames {
  return compileClaimNames(claimNames.parse(configured));
}
