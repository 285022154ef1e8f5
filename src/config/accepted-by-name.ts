/** Which issuers a route accepts only where it names them. Pure. */
import { isOpaqueIssuer } from './issuer-schema.ts';

/** Does a route accept its tokens only where it names it? Those of opaque issuers, and those that do not say whose they are. */
export function isAcceptedByName(
  issuer: Parameters<typeof isOpaqueIssuer>[0] & { readonly no_iss?: unknown },
): boolean {
  return isOpaqueIssuer(issuer) || issuer.no_iss === true;
}
