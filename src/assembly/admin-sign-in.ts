/** Who may use the admin API, as the configuration says. */
import { AdminAuth } from '../admin/admin-auth.ts';
import { IssuerSignIn } from '../admin/issuer-sign-in.ts';
import { parseClaimPath } from '../token/claims.ts';
import type { Generation } from './generation.ts';

type Parts = Pick<Generation, 'loaded' | 'policy' | 'issuers' | 'lasting'>;

export function adminAuth(parts: Parts): AdminAuth {
  const { admin } = parts.loaded.configuration;
  const tokens = [
    ...(admin.token === undefined ? [] : [{ name: 'admin', token: admin.token }]),
    ...(admin.tokens ?? []).map(({ name, token = '' }) => ({ name, token })),
  ];
  return new AdminAuth(tokens, parts.lasting.clock, issuerSignIn(parts));
}

function issuerSignIn({ loaded, policy, issuers, lasting }: Parts): IssuerSignIn | undefined {
  const { admin, limits } = loaded.configuration;
  const { auth } = admin;
  const verifier = auth && issuers.verifierFor(auth.issuer, auth.audience);
  if (!auth || !verifier) return undefined;
  return new IssuerSignIn(
    {
      scopes: auth.scopes,
      nameClaim: parseClaimPath(auth.name_claim),
      verifier,
      revocations: lasting.view,
      statuses: issuers.statusLists,
      maxViewAgeMs: policy.maxViewAgeMs,
      tokenBytes: limits.token_bytes,
    },
    lasting.clock,
  );
}
