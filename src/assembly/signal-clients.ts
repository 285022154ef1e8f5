/**
 * Polls the transmitters of signals and keeps their streams: one process of one gateway of a fleet does it for each transmitter. What
 * stays the same in the configuration goes on across a reload.
 */
import type { LoadedConfiguration } from '../config/load.ts';
import type { TransmitterConfiguration } from '../config/signals-schema.ts';
import { Poller } from '../signals/poller.ts';
import { StreamKeeper } from '../signals/stream-keeper.ts';
import type { TakesSignals } from '../signals/signal-verdict.ts';
import type { SignalClientRecord } from '../telemetry/signal-client-record.ts';
import type { Lasting } from './generation.ts';
import { pollPolicy, streamPolicy, transmitterCalls } from './signal-client-parts.ts';
import { pollObserver, streamObserver } from './signal-client-reports.ts';

type Given = Pick<Lasting, 'place' | 'client' | 'clock' | 'log' | 'fleet'> & {
  readonly called: SignalClientRecord;
};

/** The calls to one transmitter. */
interface Running {
  /** All that they depend on. */
  readonly source: string;
  readonly parts: readonly (Poller | StreamKeeper)[];
}

/** Where a polled signal comes from, in the log and in the audit lines: the gateway has fetched it. */
const FROM = 'poll';

export class SignalClients {
  readonly #given: Given;
  readonly #takes: (transmitter: string) => TakesSignals | undefined;
  #running = new Map<string, Running>();
  /** What was replaced and has not yet come to its end. */
  readonly #ending = new Set<Promise<unknown>>();

  /** @param takes of the configuration in place */
  constructor(given: Given, takes: (transmitter: string) => TakesSignals | undefined) {
    this.#given = given;
    this.#takes = takes;
  }

  /** This configuration is in place from now on. Only the process that administers calls. */
  use(loaded: LoadedConfiguration): void {
    if (!this.#given.place.administers) return;
    const before = this.#running;
    this.#running = new Map();
    const fresh: Running[] = [];
    for (const [name, transmitter] of Object.entries(loaded.configuration.signals)) {
      const source = JSON.stringify([transmitter, loaded.configuration.name, loaded.folder]);
      const known = before.get(name);
      const goesOn = known?.source === source ? known : undefined;
      const running = goesOn ?? { source, parts: this.#partsOf(name, transmitter, loaded) };
      if (goesOn) before.delete(name);
      else fresh.push(running);
      this.#running.set(name, running);
    }
    for (const [name, running] of before) this.#end(name, running);
    for (const part of fresh.flatMap(({ parts }) => parts)) part.start();
  }

  async stop(): Promise<void> {
    for (const [name, running] of this.#running) this.#end(name, running);
    this.#running = new Map();
    await Promise.all(this.#ending);
  }

  #end(name: string, { parts }: Running): void {
    const ended = Promise.all(parts.map((part) => part.stop())).then(() => {
      this.#ending.delete(ended);
    });
    this.#ending.add(ended);
    this.#given.called.streamIs(name, undefined);
  }

  #partsOf(
    name: string,
    transmitter: TransmitterConfiguration,
    { configuration, folder }: LoadedConfiguration,
  ): (Poller | StreamKeeper)[] {
    const { poll, stream } = transmitter;
    if (!poll && !stream) return [];
    const { client, clock, log, fleet, called } = this.#given;
    const calls = transmitterCalls(transmitter, folder, client, clock);
    const isOurs = (): boolean => {
      const isIt = fleet.calls(name);
      if (!isIt) called.streamIs(name, undefined);
      return isIt;
    };
    const keeper =
      stream &&
      new StreamKeeper({
        policy: streamPolicy(name, transmitter, stream, configuration.name),
        calls,
        mayKeep: isOurs,
        clock,
        observer: streamObserver(name, log.logger, called),
      });
    const poller =
      poll &&
      new Poller({
        policy: pollPolicy(poll),
        url: () => poll.url ?? keeper?.pollUrl,
        calls,
        take: async (token) => {
          const taker = this.#takes(name);
          // A reload has removed it during a poll: nothing is acknowledged.
          if (!taker) throw new Error('the transmitter is not configured any more');
          return taker.take(token, FROM);
        },
        mayPoll: isOurs,
        clock,
        observer: pollObserver(name, log.logger, called),
      });
    return [...(keeper ? [keeper] : []), ...(poller ? [poller] : [])];
  }
}
