/** GET /v1/gateways: the gateways that share the revocation store. docs/reference.md, "Admin listener". */
import type { RevocationStore } from '../revocation/revocation-store.ts';
import type { Fleet, FleetMember } from './fleet.ts';
import type { AdminResponse } from './http-response.ts';

export class FleetApi {
  readonly #fleet: Fleet;
  readonly #store: RevocationStore['kind'];

  constructor(fleet: Fleet, store: RevocationStore['kind']) {
    this.#fleet = fleet;
    this.#store = store;
  }

  async gateways(): Promise<AdminResponse> {
    const { members, isComplete } = await this.#fleet.list();
    return {
      status: 200,
      body: { store: this.#store, complete: isComplete, gateways: members.map(memberJson) },
    };
  }
}

function memberJson({ label, id, isThis, isLive, ageMs, report }: FleetMember): object {
  const { name, ...rest } = report;
  return {
    name: label,
    id,
    this: isThis,
    live: isLive,
    heartbeat_age_seconds: ageMs / 1_000,
    configured_name: name,
    ...rest,
  };
}
