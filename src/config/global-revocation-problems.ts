/** What is wrong with `global_token_revocation` beyond its shape. Pure. */
import type { Problem } from './problem.ts';
import { isKeyIssuer, isOpaqueIssuer } from './issuer-schema.ts';
import { isRaw, listOf, rawOf, textOf, type Path, type Raw } from './raw-document.ts';

/** A user is ended by a subject, or by the claim with the e-mail address: a gateway must look at it (rule V13). */
export function globalRevocationProblems(raw: Raw): Problem[] {
  const claims = listOf(rawOf(raw['revocation'])['claims']);
  const issuers = rawOf(raw['issuers']);
  return Object.entries(issuers).flatMap(([name, issuer]) => {
    const { global_token_revocation: revocation, claim_names } = rawOf(issuer);
    if (revocation === undefined) return [];
    const path: Path = ['issuers', name];
    const { subject } = rawOf(claim_names);
    const { email_claim: email } = rawOf(revocation);
    const isKnown = email === undefined || email === 'sub' || email === subject || claims.includes(email);
    return [
      ...signerProblems(issuers, name),
      ...(subject === null
        ? [
            {
              path: [...path, 'claim_names', 'subject'],
              message:
                'is null, and global_token_revocation ends tokens by it; name the claim with the subject',
            },
          ]
        : []),
      ...(isKnown
        ? []
        : [
            {
              path: [...path, 'global_token_revocation', 'email_claim'],
              message:
                'is a claim that no gateway looks at for revocations; add it to revocation.claims, or name the claim of claim_names.subject',
            },
          ]),
    ];
  });
}

/** `signed_by` names an issuer of JWTs, and each of the two has one `iss`: of many it would be unclear whose subjects end. */
function signerProblems(issuers: Raw, name: string): Problem[] {
  const { signed_by: signer } = rawOf(rawOf(issuers[name])['global_token_revocation']);
  if (signer === undefined) return [];
  const other = issuers[textOf(signer)];
  const problem = (message: string): Problem[] => [
    { path: ['issuers', name, 'global_token_revocation', 'signed_by'], message },
  ];
  if (signer === name) return problem('is this issuer itself, which is the default; remove it');
  if (!isRaw(other)) return problem('is no issuer of this configuration; correct it, or add the issuer');
  if (isKeyIssuer(other) || isOpaqueIssuer(other) || other['no_iss'] === true)
    return problem('is no issuer of JWTs with an iss; name one that has keys and issuer');
  return [other, rawOf(issuers[name])].some(({ tenants }) => tenants !== undefined)
    ? problem('has no meaning where one of the two issuers has many tenants; remove it')
    : [];
}
