/** A transmitter in the memory of a test, without HTTP: it holds signals until they are acknowledged, as RFC 8936 asks for. */
import type { Clock } from '../../src/clock.ts';
import { TransmitterError } from '../../src/signals/transmitter-error.ts';
import type { TransmitterCall, TransmitterResponse } from '../../src/signals/transmitter-calls.ts';
import type { JsonValue } from '../../src/token/claims.ts';

interface PollBody {
  readonly maxEvents: number;
  readonly returnImmediately: boolean;
  readonly ack?: readonly string[];
  readonly setErrs?: Readonly<Record<string, { readonly err: string }>>;
}

export class ScriptedTransmitter {
  /** By name. */
  readonly held = new Map<string, JsonValue>();
  readonly acknowledged: string[] = [];
  readonly refused: Record<string, string> = {};
  readonly polls: PollBody[] = [];
  /** Instead of what it would respond, for as long as it is set. */
  failure: (() => TransmitterResponse) | undefined;
  /** Does it note what it is told? */
  isForgetful = false;
  /** Does it hold polls open? */
  holds = true;
  #wake: () => void = () => undefined;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  offer(...ids: readonly string[]): void {
    for (const id of ids) this.held.set(id, `token of ${id}`);
    this.#wake();
  }

  async send({ body = '', timeoutMs, signal }: TransmitterCall): Promise<TransmitterResponse> {
    const poll = JSON.parse(body) as PollBody;
    this.polls.push(poll);
    if (this.failure) return this.failure();
    this.#note(poll);
    if (!poll.returnImmediately && this.holds && this.held.size === 0) await this.#wait(timeoutMs, signal);
    const sets = Object.fromEntries([...this.held].slice(0, poll.maxEvents));
    return { status: 200, document: { sets, moreAvailable: this.held.size > poll.maxEvents } };
  }

  #note({ ack = [], setErrs = {} }: PollBody): void {
    this.acknowledged.push(...ack);
    for (const [id, { err }] of Object.entries(setErrs)) this.refused[id] = err;
    if (this.isForgetful) return;
    for (const id of [...ack, ...Object.keys(setErrs)]) this.held.delete(id);
  }

  async #wait(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const cut = (): void => reject(new TransmitterError('unreachable', 'no complete response arrived'));
    const cancel = this.#clock.after(timeoutMs, cut);
    signal?.addEventListener('abort', cut);
    try {
      await promise;
    } finally {
      cancel();
    }
  }
}
