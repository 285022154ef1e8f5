/** An upstream at work: requests are balanced to the members of all of its targets. */
import type { Clock } from '../clock.ts';
import { Balancer, type Balance } from './balancer.ts';
import type { Deadlines } from './deadlines.ts';
import type { Target, TryCount, Upstream } from './target.ts';
import type { RunningTarget } from './running-target.ts';
import { UnresolvedTarget } from './unresolved-target.ts';

export interface RunningUpstreamParts {
  readonly targets: readonly RunningTarget[];
  readonly balance: Balance;
  readonly connectTimeoutMs: number;
  readonly countRetry: () => void;
  readonly triesOf: (target: string) => TryCount;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
}

export class RunningUpstream implements Upstream {
  readonly targets: readonly RunningTarget[];
  readonly balancer: Balancer<Target>;
  readonly countRetry: () => void;
  readonly #unresolved: UnresolvedTarget;
  readonly #unsubscribe: (() => void)[];

  /** @param parts whose targets are at least one */
  constructor(parts: RunningUpstreamParts) {
    const { targets, balance, countRetry } = parts;
    this.targets = targets;
    this.countRetry = countRetry;
    this.#unresolved = new UnresolvedTarget(targets[0]?.text ?? '', parts);
    this.balancer = new Balancer<Target>([this.#unresolved], balance);
    this.#unsubscribe = targets.map((target) => target.onChange(() => this.#changed()));
    this.#changed();
  }

  /** It hears no more of changes. */
  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unresolved.pool.close();
  }

  #changed(): void {
    const members = this.targets.flatMap((target) => target.members);
    if (members.length > 0) {
      this.balancer.use(members);
      this.#unresolved.pool.drain();
      return;
    }
    const resolutions = this.targets.map(({ resolution }) => resolution);
    if (resolutions.includes(undefined)) return;
    const error = resolutions.find((resolution) => resolution?.error)?.error;
    if (error) this.#unresolved.pool.fail(error);
  }
}
