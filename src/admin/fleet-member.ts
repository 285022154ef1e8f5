/** A gateway of the fleet, as its heartbeat shows it, and how it is called. Pure. */
import type { GatewayReport } from './fleet-messages.ts';

/** Three heartbeats: later than that a gateway is cut off from the store, or gone. */
export const LIVE_MS = 15_000;

export interface FleetMember {
  readonly id: string;
  /** Name and host, and the process where two would have the same. */
  readonly label: string;
  readonly isThis: boolean;
  readonly isLive: boolean;
  readonly ageMs: number;
  readonly report: GatewayReport;
}

export function labelOf({ name, host }: GatewayReport): string {
  return `${name}@${host}`;
}

export function labelled(
  gateways: readonly { readonly id: string; readonly ageMs: number; readonly report: GatewayReport }[],
  self: string,
): FleetMember[] {
  const counts = new Map<string, number>();
  for (const { report } of gateways) counts.set(labelOf(report), (counts.get(labelOf(report)) ?? 0) + 1);
  return gateways
    .map((gateway) => {
      const label = labelOf(gateway.report);
      return {
        ...gateway,
        label: (counts.get(label) ?? 0) > 1 ? `${label}:${gateway.report.pid}` : label,
        isThis: gateway.id === self,
        isLive: gateway.ageMs <= LIVE_MS,
      };
    })
    .sort((one, other) => Number(other.isThis) - Number(one.isThis) || one.label.localeCompare(other.label));
}
