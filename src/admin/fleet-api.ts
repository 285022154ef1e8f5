/** GET /v1/gateways: the gateways that share the revocation store. docs/reference.md, "Admin listener". */
import type { Clock } from '../clock.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import type { Fleet } from './fleet.ts';
import type { FleetMember } from './fleet-member.ts';
import type { AdminResponse } from './http-response.ts';
import { latestCanary } from './latest-canary.ts';

export interface FleetApiParts {
  readonly fleet: Fleet;
  readonly store: Pick<RevocationStore, 'kind'>;
  readonly clock: Clock;
  /** How often this gateway takes its turn to make a canary; undefined: never. */
  readonly canaryEveryMs: number | undefined;
}

export class FleetApi {
  readonly #parts: FleetApiParts;

  constructor(parts: FleetApiParts) {
    this.#parts = parts;
  }

  async gateways(): Promise<AdminResponse> {
    const { fleet, store, clock, canaryEveryMs } = this.#parts;
    const { members, isComplete } = await fleet.list();
    const canaries = members.map(({ label, isLive, report: { canary, started_at: startedAt } }) => ({
      ...{ label, isLive, startedAt, canary },
    }));
    return {
      status: 200,
      body: {
        store: store.kind,
        complete: isComplete,
        canary: {
          every_seconds: canaryEveryMs === undefined ? null : canaryEveryMs / 1_000,
          last: latestCanary(canaries, clock.nowMs() / 1_000),
        },
        gateways: members.map(memberJson),
      },
    };
  }
}

function memberJson({ label, id, isThis, isLive, ageMs, report }: FleetMember): object {
  const { name, canary = null, ...rest } = report;
  return {
    name: label,
    id,
    this: isThis,
    live: isLive,
    heartbeat_age_seconds: ageMs / 1_000,
    configured_name: name,
    ...rest,
    canary: canary && {
      state: canary.state,
      refused_after_seconds: canary.refused_after_seconds,
      made_at: canary.made_at,
    },
  };
}
