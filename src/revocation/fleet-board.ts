/**
 * What gateways of one fleet put up for each other beside the list: that they live, and boxes for questions and replies. State
 * of seconds, not of the list: no snapshot holds it, and a store that loses it loses nothing. The stores of the list have one.
 */

/** How long the last heartbeat of a gateway stays up: a gateway that vanished is named for so long. */
export const HEARTBEAT_KEPT_MS = 600_000;
/** How long a box stays: longer than any question waits for its replies. */
export const BOX_KEPT_MS = 10_000;

/** The last heartbeat of a gateway. */
export interface Heartbeat {
  readonly id: string;
  readonly text: string;
  /** By the store's clock. */
  readonly ageMs: number;
}

/** Every method rejects with an Error when the store is unavailable; none hangs. */
export interface FleetBoard {
  /** The gateway with this id lives. The last text stays up. */
  beat(id: string, text: string): Promise<void>;
  /** It ends in order: its heartbeat is taken down. */
  leave(id: string): Promise<void>;
  /** The last heartbeats of all gateways, this one too, that are at most HEARTBEAT_KEPT_MS old. */
  heartbeats(): Promise<readonly Heartbeat[]>;
  /** Puts a text into a box, behind those that are in it. */
  put(box: string, text: string): Promise<void>;
  /** The texts in a box behind the first `from`. Empty where there is no such box (any more). */
  read(box: string, from: number): Promise<readonly string[]>;
}
