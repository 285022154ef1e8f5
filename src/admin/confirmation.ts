/** Which gateways refuse by a revocation: what POST /v1/revocations says with `confirm`. Rule V7. */
import type { RevocationEntry } from '../revocation/revocation-store.ts';
import type { ConfirmedJson } from './entry-json.ts';
import type { Fleet } from './fleet.ts';

export type Confirm = (entries: readonly RevocationEntry[]) => Promise<ConfirmedJson>;

/** @param entries in force at this gateway already */
export async function confirmed(fleet: Fleet, entries: readonly RevocationEntry[]): Promise<ConfirmedJson> {
  const marks = entries.map(({ id, version }) => ({ id, ...version }));
  const { others, silent, replies } = await fleet.ask<'marks'>({ about: 'marks', marks });
  const confirming = replies.filter(({ reply }) => reply.inForce);
  return {
    gateways: others.length + 1,
    refuse: confirming.length + 1,
    slowest_ms: Math.ceil(Math.max(0, ...confirming.map(({ afterMs }) => afterMs))),
    unconfirmed: [...silent, ...replies.flatMap(({ label, reply }) => (reply.inForce ? [] : [label]))].sort(),
  };
}
