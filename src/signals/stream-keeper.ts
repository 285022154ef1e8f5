/**
 * Keeps the event stream of one transmitter as the configuration wants it: finds it or makes it, changes what differs, enables it,
 * and asks for a verification event every few minutes, which is the heartbeat. I/O by its parts. OpenID SSF 1.0 section 8.
 *
 * A stream is never made twice: only where the transmitter shows that there is none for this gateway.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { pause } from '../revocation/abortable-delay.ts';
import { transmitterUrls } from '../token/key-discovery.ts';
import {
  change,
  chooseStream,
  creation,
  readStatus,
  readStream,
  readStreams,
  type Choice,
  type StreamDocument,
  type StreamStatus,
  type WantedStream,
} from './stream-document.ts';
import type { TransmitterCall, TransmitterCalls, TransmitterResponse } from './transmitter-calls.ts';
import { TransmitterError } from './transmitter-error.ts';
import { readMetadata, type TransmitterMetadata } from './transmitter-metadata.ts';
import { verificationState } from './verification-state.ts';

export interface StreamPolicy {
  readonly wanted: WantedStream;
  /** May the gateway make, change and enable it? Otherwise it looks, and asks for verification. */
  readonly manages: boolean;
  /** What the configuration says; the metadata says the rest. */
  readonly endpoints: Partial<TransmitterMetadata>;
  /** Between two requests to verify; 0: none is made. The stream is looked at as often. */
  readonly verifyEveryMs: number;
  readonly timeoutMs: number;
}

export interface StreamObserver {
  /** What was done: fixed text. */
  changed(what: 'created' | 'updated' | 'enabled', streamId: string): void;
  /** The stream as it is now. */
  seen(stream: StreamDocument, status: StreamStatus | undefined): void;
  /** Others that look like it. */
  ambiguous(choice: Choice): void;
  /** Events were asked for that will not come. */
  undelivered(events: readonly string[]): void;
  /** @param times in a row */
  failed(error: TransmitterError, times: number): void;
  /** It has worked after it has not. */
  works(): void;
}

export interface StreamKeeperParts {
  readonly policy: StreamPolicy;
  readonly calls: Pick<TransmitterCalls, 'send'>;
  /** Is it this gateway that keeps the stream? Of a fleet, one does. */
  readonly mayKeep: () => boolean;
  readonly clock: Clock;
  readonly observer: StreamObserver;
  readonly random?: () => number;
}

const LOOK_MS = 500;
const FIRST_RETRY_MS = 2_000;
const MAX_RETRY_MS = 60_000;
const JITTER = 0.25;
/** How often the stream is looked at where no verification is asked for. */
const LOOK_AT_STREAM_MS = 300_000;

export class StreamKeeper {
  readonly #parts: StreamKeeperParts;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #metadata: TransmitterMetadata | undefined;
  #stream: StreamDocument | undefined;
  /** The last change. */
  #asked: string | undefined;
  #failures = 0;
  #verifiedAtMs = -Infinity;

  constructor(parts: StreamKeeperParts) {
    this.#parts = parts;
  }

  /** Where the transmitter wants to be polled; undefined: not known yet, or it pushes. */
  get pollUrl(): string | undefined {
    return this.#stream?.endpointUrl;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, mayKeep } = this.#parts;
    const { signal } = this.#stopping;
    while (!signal.aborted) await pause(clock, mayKeep() ? await this.#round() : LOOK_MS, signal);
  }

  /** @returns how long to wait until the next look */
  async #round(): Promise<number> {
    const { observer, policy } = this.#parts;
    try {
      const endpoints = await this.#endpoints();
      const stream = await this.#current(endpoints);
      this.#stream = stream;
      observer.seen(stream, await this.#status(endpoints, stream));
      await this.#verify(endpoints, stream);
    } catch (error) {
      if (this.#stopping.signal.aborted) return 0;
      return this.#failed(asTransmitterError(error));
    }
    if (this.#failures > 0) observer.works();
    this.#failures = 0;
    return policy.verifyEveryMs === 0 ? LOOK_AT_STREAM_MS : policy.verifyEveryMs;
  }

  #failed(error: TransmitterError): number {
    const { observer, random = Math.random } = this.#parts;
    // What it says of itself may have changed.
    this.#metadata = undefined;
    observer.failed(error, ++this.#failures);
    const backOffMs = Math.min(FIRST_RETRY_MS * 2 ** (this.#failures - 1), MAX_RETRY_MS);
    const askedMs = Math.min((error.retryAfterSeconds ?? 0) * 1000, MAX_RETRY_MS);
    return Math.max(backOffMs * (1 + JITTER * random()), askedMs);
  }

  async #endpoints(): Promise<TransmitterMetadata> {
    const { endpoints, wanted } = this.#parts.policy;
    const { configurationEndpoint, statusEndpoint, verificationEndpoint } = endpoints;
    if (
      configurationEndpoint !== undefined &&
      statusEndpoint !== undefined &&
      verificationEndpoint !== undefined
    )
      return { configurationEndpoint, statusEndpoint, verificationEndpoint };
    this.#metadata ??= await this.#metadataOf(wanted.issuer);
    return {
      configurationEndpoint: configurationEndpoint ?? this.#metadata.configurationEndpoint,
      statusEndpoint: statusEndpoint ?? this.#metadata.statusEndpoint,
      verificationEndpoint: verificationEndpoint ?? this.#metadata.verificationEndpoint,
    };
  }

  /** The first address that has any. */
  async #metadataOf(issuer: string): Promise<TransmitterMetadata> {
    let missing: unknown;
    for (const url of transmitterUrls(issuer)) {
      try {
        const { document } = await this.#send({ method: 'GET', url, withToken: false });
        return readMetadata(document, issuer);
      } catch (error) {
        if (!(error instanceof TransmitterError) || error.failure !== 'status') throw error;
        missing ??= error;
      }
    }
    throw missing;
  }

  /** The stream, as wanted where the gateway manages it. */
  async #current({ configurationEndpoint: url }: TransmitterMetadata): Promise<StreamDocument> {
    const { policy, observer } = this.#parts;
    const { wanted, manages } = policy;
    if (url === undefined)
      throw unusable('the transmitter has no configuration_endpoint: it has no streams to manage');
    const choice = chooseStream(await this.#streams(url), wanted);
    if (choice.twins.length > 0) observer.ambiguous(choice);
    const { chosen } = choice;
    if (chosen === undefined) return this.#created(url, choice);
    const differs = manages ? change(chosen, wanted) : undefined;
    const body = JSON.stringify(differs);
    // A transmitter that does not take a change is asked for it once.
    if (differs === undefined || body === this.#asked) return this.#told(chosen);
    const response = await this.#send({ method: 'PATCH', url, body });
    this.#asked = body;
    observer.changed('updated', chosen.id);
    // 202: it will be so; the next look shows it.
    return this.#told(response.status === 202 ? chosen : readStream(response.document));
  }

  async #streams(url: string): Promise<readonly StreamDocument[]> {
    const { id } = this.#parts.policy.wanted;
    const asked = new URL(url);
    if (id !== undefined) asked.searchParams.set('stream_id', id);
    try {
      return readStreams((await this.#send({ method: 'GET', url: asked.href })).document);
    } catch (error) {
      // Of a list, some transmitters say so that there is none.
      if (error instanceof TransmitterError && error.status === 404 && id === undefined) return [];
      throw error;
    }
  }

  async #created(url: string, { others }: Choice): Promise<StreamDocument> {
    const { policy, observer } = this.#parts;
    const { wanted, manages } = policy;
    if (wanted.id !== undefined)
      throw unusable(
        'the transmitter has no stream with the configured id for this audience; correct stream.id, or remove it',
      );
    if (others.length > 0)
      throw unusable(
        `the transmitter has a stream for this audience that another receiver seems to use (${named(others)}); set stream.id to take it over, or delete it there`,
      );
    if (!manages)
      throw unusable(
        'the transmitter has no stream for this audience, and stream.manage is false; make it there',
      );
    const body = JSON.stringify(creation(wanted));
    const stream = readStream((await this.#send({ method: 'POST', url, body })).document);
    observer.changed('created', stream.id);
    return this.#told(stream);
  }

  #told(stream: StreamDocument): StreamDocument {
    const { wanted } = this.#parts.policy;
    const missing = wanted.events.filter((event) => stream.eventsDelivered?.includes(event) === false);
    if (missing.length > 0) this.#parts.observer.undelivered(missing);
    return stream;
  }

  /** Undefined: the transmitter does not say. */
  async #status(
    { statusEndpoint: url }: TransmitterMetadata,
    { id }: StreamDocument,
  ): Promise<StreamStatus | undefined> {
    const { policy, observer } = this.#parts;
    if (url === undefined) return undefined;
    const asked = new URL(url);
    asked.searchParams.set('stream_id', id);
    const status = readStatus((await this.#send({ method: 'GET', url: asked.href })).document);
    if (status === 'enabled' || !policy.manages) return status;
    const body = JSON.stringify({ stream_id: id, status: 'enabled' });
    const { status: code, document } = await this.#send({ method: 'POST', url, body });
    if (code === 202) return status;
    const now = document === undefined ? 'enabled' : readStatus(document);
    if (now === 'enabled') observer.changed('enabled', id);
    return now;
  }

  async #verify(
    { verificationEndpoint: url }: TransmitterMetadata,
    { id, minVerificationSeconds }: StreamDocument,
  ): Promise<void> {
    const { clock, policy } = this.#parts;
    const sinceMs = clock.monotonicMs() - this.#verifiedAtMs;
    if (policy.verifyEveryMs === 0 || sinceMs < minVerificationSeconds * 1000) return;
    if (url === undefined)
      throw unusable(
        'the transmitter has no verification_endpoint: it gives no heartbeat; set stream.verify_every to 0s',
      );
    this.#verifiedAtMs = clock.monotonicMs();
    const state = verificationState(clock.nowMs(), randomUUID());
    const body = JSON.stringify({ stream_id: id, state });
    await this.#send({ method: 'POST', url, body, reads: false });
  }

  async #send(call: Omit<TransmitterCall, 'timeoutMs' | 'signal'>): Promise<TransmitterResponse> {
    const { calls, policy } = this.#parts;
    return calls.send({ ...call, timeoutMs: policy.timeoutMs, signal: this.#stopping.signal });
  }
}

const unusable = (message: string): TransmitterError => new TransmitterError('unreadable', message);

/** Ids that another has chosen: a few, and short. */
function named(streams: readonly StreamDocument[]): string {
  return streams
    .slice(0, 5)
    .map(({ id }) => JSON.stringify(id.slice(0, 100)))
    .join(', ');
}

function asTransmitterError(error: unknown): TransmitterError {
  return error instanceof TransmitterError
    ? error
    : unusable(error instanceof Error ? error.message : String(error));
}
