/** What an answer of the revocation API has beside the entries: which gateways have them in force, and a receipt. */
import { proofsOf } from '../admin/receipts.ts';
import type { RevocationsApiParts } from '../admin/revocations-api.ts';
import type { Generation } from './generation.ts';

export function changeProofs({ lasting, policy, proof }: Generation): RevocationsApiParts['proofs'] {
  const { fleet, store, clock } = lasting;
  const sign =
    proof && ((claims: Parameters<typeof proof.sign>[1]) => proof.sign('revocation-receipt+jwt', claims));
  return (changes, hold) => proofsOf({ fleet, store, clock, issuer: policy.name, sign }, changes, hold);
}
