/** Which issuers a route accepts, and which of them only where it names them. Pure. */
import { isKeyIssuer, isOpaqueIssuer } from './issuer-schema.ts';
import type { Configuration, RouteConfiguration } from './schema.ts';

/** Does a route accept its tokens only where it names it? Those of opaque issuers, those that do not say whose they are, and API keys. */
export function isAcceptedByName(
  issuer: Parameters<typeof isOpaqueIssuer>[0] &
    Parameters<typeof isKeyIssuer>[0] & { readonly no_iss?: unknown },
): boolean {
  return isKeyIssuer(issuer) || isOpaqueIssuer(issuer) || issuer.no_iss === true;
}

/** Issuers of opaque tokens are asked only where a route names them, and tokens without `iss` pass only there. */
export function acceptedIssuers(
  { mode, issuers: named }: Pick<RouteConfiguration['auth'], 'mode' | 'issuers'>,
  { issuers }: Pick<Configuration, 'issuers'>,
): readonly string[] {
  if (mode === 'none') return [];
  return (
    named ??
    Object.entries(issuers)
      .filter(([, issuer]) => !isAcceptedByName(issuer))
      .map(([name]) => name)
  );
}
