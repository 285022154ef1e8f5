/** The board of the memory store: this gateway is alone. */
import type { Clock } from '../clock.ts';
import { BOX_KEPT_MS, HEARTBEAT_KEPT_MS, type FleetBoard, type Heartbeat } from './fleet-board.ts';

interface Box {
  atMs: number;
  readonly texts: string[];
}

export class MemoryBoard implements FleetBoard {
  readonly #clock: Clock;
  readonly #beats = new Map<string, { readonly text: string; readonly atMs: number }>();
  readonly #boxes = new Map<string, Box>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async beat(id: string, text: string): Promise<void> {
    this.#beats.set(id, { text, atMs: this.#clock.monotonicMs() });
  }

  async leave(id: string): Promise<void> {
    this.#beats.delete(id);
  }

  async heartbeats(): Promise<readonly Heartbeat[]> {
    const nowMs = this.#clock.monotonicMs();
    for (const [id, { atMs }] of this.#beats) if (nowMs - atMs > HEARTBEAT_KEPT_MS) this.#beats.delete(id);
    return [...this.#beats].map(([id, { text, atMs }]) => ({ id, text, ageMs: nowMs - atMs }));
  }

  async put(box: string, text: string): Promise<void> {
    this.#forget();
    const { texts } = this.#boxes.get(box) ?? { texts: [] };
    this.#boxes.set(box, { atMs: this.#clock.monotonicMs(), texts: [...texts, text] });
  }

  async read(box: string, from: number): Promise<readonly string[]> {
    this.#forget();
    return this.#boxes.get(box)?.texts.slice(from) ?? [];
  }

  #forget(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [box, { atMs }] of this.#boxes) if (nowMs - atMs > BOX_KEPT_MS) this.#boxes.delete(box);
  }
}
