/** Compiles `claim_names` of an issuer. Pure. */
import type { ClaimNamesConfiguration } from '../config/claim-names-schema.ts';
import type { TargetKind } from '../revocation/revocation-target.ts';
import type { ClaimNames } from '../token/claim-names.ts';
import { parseClaimPath, type ClaimPath } from '../token/claims.ts';

export function compileClaimNames(names: ClaimNamesConfiguration): ClaimNames {
  return {
    subject: pathsOf(names.subject),
    client: pathsOf(names.client),
    scopes: pathsOf(names.scopes),
    session: pathsOf(names.session),
    tenant: pathsOf(names.tenant),
    loginTime: pathsOf(names.login_time),
  };
}

/** What revocations can name, and no token of the issuer does: an entry of that kind would end nothing (rule V13). */
export function unnamedKinds(names: ClaimNamesConfiguration): ReadonlySet<TargetKind> {
  const kinds = ['subject', 'session', 'client'] as const;
  return new Set(kinds.filter((kind) => names[kind] === null));
}

function pathsOf(configured: string | readonly string[] | null): ClaimPath[] {
  return [configured ?? []].flat().map(parseClaimPath);
}
