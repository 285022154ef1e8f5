/** What of signals outlives a reload: what was received and called, for the metrics, and the calls to transmitters themselves. */
import { SignalClientRecord } from '../telemetry/signal-client-record.ts';
import { SignalRecord } from '../telemetry/signal-record.ts';
import type { Generation, Lasting } from './generation.ts';
import { SignalClients } from './signal-clients.ts';

export class Signals {
  readonly received: SignalRecord;
  readonly called = new SignalClientRecord();
  readonly #clients: SignalClients;

  /** @param generation the one that serves now */
  constructor(
    given: Pick<Lasting, 'place' | 'client' | 'clock' | 'log' | 'fleet'>,
    generation: () => Generation,
  ) {
    this.received = new SignalRecord(given.clock);
    this.#clients = new SignalClients({ ...given, called: this.called }, (name) =>
      generation().issuers.transmitters.intakes.get(name),
    );
  }

  /** This configuration is in place from now on. */
  use(loaded: Generation['loaded']): void {
    this.#clients.use(loaded);
  }

  stop(): Promise<void> {
    return this.#clients.stop();
  }
}
