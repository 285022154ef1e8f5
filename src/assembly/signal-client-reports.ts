/** What the gateway tells of its calls to transmitters of signals, and of their streams: log lines and metrics. */
import type { TransmitterConfiguration } from '../config/signals-schema.ts';
import type { PollObserver, PollResult } from '../signals/poller.ts';
import type { StreamObserver } from '../signals/stream-keeper.ts';
import { SignalRefused, type SignalEvent, type StreamEvents } from '../signals/signal-verdict.ts';
import type { TransmitterError } from '../signals/transmitter-error.ts';
import { madeAtMs } from '../signals/verification-state.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { SignalClientRecord } from '../telemetry/signal-client-record.ts';
import { quietAfterMs } from './signal-client-parts.ts';

const POLL_RESULTS: readonly PollResult[] = ['signals', 'empty', 'held', 'untaken', 'failed'];

/** @param signals of the configuration in place; empty where this process does not call transmitters */
export function exposeSignalClients(
  metrics: Metrics,
  record: () => SignalClientRecord,
  signals: () => Readonly<Record<string, TransmitterConfiguration>>,
): void {
  metrics.counterOf(
    'sallyport_signal_polls_total',
    'Polls of transmitters: signals (it had some), empty (it had none), held (it had none for as long as it was waited), untaken (some could not be taken, and are sent again), failed.',
    ['transmitter', 'result'],
    (counter) => {
      for (const { transmitter, result, count } of record().polls)
        counter.child(transmitter, result).value = count;
    },
  );
  metrics.gauge(
    'sallyport_signal_stream_enabled',
    'Does the stream of the transmitter deliver (1), or is it paused or disabled (0)? Of the one gateway of a fleet that keeps it.',
    ['transmitter'],
    (set) => {
      for (const [transmitter, isEnabled] of record().streams) set(isEnabled ? 1 : 0, transmitter);
    },
  );
  metrics.gauge(
    'sallyport_signal_quiet_after_seconds',
    'How long the transmitter may be silent before an alert. Absent where it has no heartbeat.',
    ['transmitter'],
    (set) => {
      for (const [name, transmitter] of Object.entries(signals())) {
        const ms = quietAfterMs(transmitter);
        if (ms !== undefined) set(ms / 1000, name);
      }
    },
  );
}

/** How a failure is put, by what it is. */
const ADVICE: Readonly<Partial<Record<TransmitterError['failure'], string>>> = {
  refused:
    'the transmitter refuses the token of the gateway; give the gateway one that it accepts, by http.bearer_token_file or oauth, with the scopes that it asks for',
  no_token: 'the gateway has no token for the transmitter; correct http.bearer_token_file or oauth',
};

/** Tells each kind of failure once, until it works again. */
class Failures {
  readonly #transmitter: string;
  readonly #logger: Logger;
  #told = '';

  constructor(transmitter: string, logger: Logger) {
    this.#transmitter = transmitter;
    this.#logger = logger;
  }

  failed(error: TransmitterError, otherwise: string): void {
    const { failure, status, message } = error;
    const kind = `${failure} ${status ?? ''} ${message}`;
    if (kind === this.#told) return;
    this.#told = kind;
    const advice = ADVICE[failure];
    const level = advice === undefined ? 'warn' : 'error';
    this.#logger[level](
      { transmitter: this.#transmitter, status, error: describeError(error) },
      advice ?? otherwise,
    );
  }

  works(message: string): void {
    if (this.#told === '') return;
    this.#told = '';
    this.#logger.info({ transmitter: this.#transmitter }, message);
  }
}

export function pollObserver(transmitter: string, logger: Logger, record: SignalClientRecord): PollObserver {
  const failures = new Failures(transmitter, logger);
  let isUntakenTold = false;
  for (const result of POLL_RESULTS) record.polled(transmitter, result, 0);
  return {
    polled: (result) => record.polled(transmitter, result),
    failed: (error) =>
      failures.failed(error, 'a poll of the transmitter has failed; it is tried again until it works'),
    untaken(count, error) {
      if (isUntakenTold) return;
      isUntakenTold = true;
      logger.error(
        { transmitter, signals: count, error: describeError(error) },
        'signals could not be taken, and are not acknowledged; the transmitter sends them again',
      );
    },
    works() {
      failures.works('the transmitter is polled again');
      if (isUntakenTold) logger.info({ transmitter }, 'signals are taken again');
      isUntakenTold = false;
    },
    tooMany: (leftOut) =>
      logger.warn(
        { transmitter, left_out: leftOut },
        'the transmitter sent more signals than it was asked for; the rest is not looked at, and must be sent again',
      ),
  };
}

export function streamObserver(
  transmitter: string,
  logger: Logger,
  record: SignalClientRecord,
): StreamObserver {
  const failures = new Failures(transmitter, logger);
  /** What was told of the stream, so that it is told once. */
  const told = new Map<string, string>();
  const once = (about: string, state: string, tell: () => void): void => {
    if (told.get(about) === state) return;
    told.set(about, state);
    tell();
  };
  return {
    changed: (what, streamId) =>
      logger.info({ transmitter, stream: shown(streamId) }, `the event stream was ${what}`),
    seen({ id }, status) {
      record.streamIs(transmitter, status === undefined ? undefined : status === 'enabled');
      once('status', status ?? '', () => {
        const fields = { transmitter, stream: shown(id), status: status ?? 'not known' };
        if (status === 'paused' || status === 'disabled') logger.error(fields, STOPPED[status]);
        else logger.info(fields, 'the event stream is in use');
      });
    },
    ambiguous: ({ chosen, twins }) =>
      once('twins', twins.map(({ id }) => id).join(), () =>
        logger.warn(
          { transmitter, stream: shown(chosen?.id ?? ''), others: twins.length },
          'the transmitter has several streams for this gateway; the first one is used: delete the others there, or set stream.id',
        ),
      ),
    undelivered: (events) =>
      once('events', events.join(), () =>
        logger.info(
          { transmitter, events },
          'the transmitter does not deliver all events that were asked for',
        ),
      ),
    failed: (error) =>
      failures.failed(error, 'the event stream cannot be looked at; it is tried again until it works'),
    works: () => failures.works('the event stream can be looked at again'),
  };
}

const STOPPED = {
  paused: 'the event stream is paused: the transmitter holds its signals back; enable it there',
  disabled:
    'the event stream is disabled: the transmitter sends no signals, and keeps none for later; enable it there',
};

const SHOWN_CHARACTERS = 100;
const shown = (text: string): string => text.slice(0, SHOWN_CHARACTERS);

const STATUSES: readonly unknown[] = ['enabled', 'paused', 'disabled'];

/**
 * Decides on the events of a stream. Any gateway of a fleet may get them, whichever has asked.
 *
 * @param asks does the gateway ask for verification? Otherwise another does, with a state of its own.
 */
export function streamEvents(transmitter: string, logger: Logger, asks: boolean): StreamEvents {
  return {
    heard({ name, payload }: SignalEvent) {
      if (name === 'stream-updated') {
        const { status } = payload;
        logger.warn(
          { transmitter, status: STATUSES.includes(status) ? status : 'not known' },
          'the transmitter has changed the status of its event stream',
        );
      }
      // Without a state the transmitter has sent it of its own accord.
      if (name !== 'verification' || payload['state'] === undefined || !asks) return;
      if (typeof payload['state'] !== 'string' || madeAtMs(payload['state']) === undefined)
        throw new SignalRefused('invalid_state', 'The state is none that this receiver has asked for.');
    },
  };
}
