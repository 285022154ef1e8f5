/**
 * Counters and histograms whose labelled children are held by those who count, so that counting costs an
 * addition and no look-up: prom-client's labels() hashes label values on every call. They register with the
 * Prometheus client's registry like its own metrics.
 */

/** The part of the client's metric contract that its registry uses. */
export interface RegistrableMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  get(): Promise<object>;
  reset(): void;
}

type Labels = Readonly<Record<string, string | number>>;

export interface CounterChild {
  value: number;
}

abstract class Held<Child> implements RegistrableMetric {
  readonly name: string;
  readonly help: string;
  abstract readonly type: string;
  readonly aggregator = 'sum';
  readonly labelNames: readonly string[];
  /** Another number after children were dropped: a holder must get its children again. */
  epoch = 0;
  readonly #children = new Map<string, { readonly labels: Labels; readonly child: Child }>();

  constructor(name: string, help: string, labelNames: readonly string[]) {
    this.name = name;
    this.help = help;
    this.labelNames = labelNames;
  }

  /** The child for these label values, in the order of the label names. Hold on to it. */
  child(...values: readonly (string | number)[]): Child {
    const key = values.join('\u0000');
    let held = this.#children.get(key);
    if (!held) {
      const labels = Object.fromEntries(this.labelNames.map((name, index) => [name, values[index] ?? '']));
      held = { labels, child: this.newChild() };
      this.#children.set(key, held);
    }
    return held.child;
  }

  /** All children with their labels, for those who read them. */
  held(): Iterable<{ readonly labels: Labels; readonly child: Child }> {
    return this.#children.values();
  }

  async get(): Promise<object> {
    const values = [...this.#children.values()].flatMap(({ labels, child }) => this.samples(labels, child));
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }

  reset(): void {
    this.#children.clear();
    this.epoch++;
  }

  /** Drops the children whose labels are of something that is there no more. */
  retain(isKept: (labels: Labels) => boolean): void {
    for (const [key, { labels }] of this.#children) {
      if (isKept(labels)) continue;
      this.#children.delete(key);
      this.epoch++;
    }
  }

  protected abstract newChild(): Child;
  protected abstract samples(labels: Labels, child: Child): object[];
}

export class HeldCounter extends Held<CounterChild> {
  readonly type = 'counter';

  protected newChild(): CounterChild {
    return { value: 0 };
  }

  protected samples(labels: Labels, { value }: CounterChild): object[] {
    return [{ labels, value }];
  }
}

export class HistogramChild {
  readonly #bounds: readonly number[];
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.sum += value;
    this.count++;
    const bucket = this.#bounds.findIndex((bound) => value <= bound);
    if (bucket >= 0) this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
  }
}

export class HeldHistogram extends Held<HistogramChild> {
  readonly type = 'histogram';
  readonly #bounds: readonly number[];

  constructor(name: string, help: string, labelNames: readonly string[], bounds: readonly number[]) {
    super(name, help, labelNames);
    this.#bounds = bounds;
  }

  protected newChild(): HistogramChild {
    return new HistogramChild(this.#bounds);
  }

  protected samples(labels: Labels, child: HistogramChild): object[] {
    let cumulative = 0;
    const buckets = this.#bounds.map((bound, index) => {
      cumulative += child.counts[index] ?? 0;
      return { labels: { ...labels, le: bound }, value: cumulative, metricName: `${this.name}_bucket` };
    });
    return [
      ...buckets,
      { labels: { ...labels, le: '+Inf' }, value: child.count, metricName: `${this.name}_bucket` },
      { labels, value: child.sum, metricName: `${this.name}_sum` },
      { labels, value: child.count, metricName: `${this.name}_count` },
    ];
  }
}
