/** The revocation API of a configuration: which entries it shows, and what its answers have beside them. */
import { listedEntries } from '../admin/listed-entries.ts';
import { proofsOf } from '../admin/receipts.ts';
import { RevocationsApi, type RevocationsApiParts } from '../admin/revocations-api.ts';
import type { ProofSigner } from '../identity/proof-jws.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { Generation } from './generation.ts';

export function revocationsApi(generation: Generation, audit: AuditLog): RevocationsApi {
  const { lasting, loaded, policy, revoker } = generation;
  return new RevocationsApi({
    revoker,
    store: listedEntries(lasting.store, lasting.canaries),
    claims: loaded.configuration.revocation.claims,
    mayHaveBars: policy.routes.some(({ mayHaveBars }) => mayHaveBars),
    audit,
    proofs: changeProofs(generation),
  });
}

function changeProofs({ lasting, policy, proof }: Generation): RevocationsApiParts['proofs'] {
  const { fleet, store, clock } = lasting;
  const sign =
    proof && ((claims: Parameters<ProofSigner['sign']>[1]) => proof.sign('revocation-receipt+jwt', claims));
  return (changes, hold) => proofsOf({ fleet, store, clock, issuer: policy.name, sign }, changes, hold);
}
