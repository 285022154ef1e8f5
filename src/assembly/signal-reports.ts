/** What the gateway tells of signals: counters, when each transmitter was heard last, log lines and audit lines. */
import type { Refusal } from '../telemetry/refusal-lines.ts';
import { ENDING_EVENTS, type EventName } from '../signals/signal-events.ts';
import type { SignalObserver } from '../signals/signal-intake.ts';
import type { Subject } from '../signals/subject-identifier.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import { describeError } from '../telemetry/logger.ts';
import type { SignalRecord } from '../telemetry/signal-record.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Lasting } from './generation.ts';

export function exposeSignals(metrics: Metrics, record: () => SignalRecord): void {
  metrics.counterOf(
    'sallyport_signals_total',
    'Security events of transmitters: ended (tokens), ignored (it ends none), unmapped (no token can match its subject), repeated; or with event="none" the code of the error by which their token was refused, and unavailable where keys or the store were.',
    ['transmitter', 'event', 'result'],
    (counter) => {
      for (const { transmitter, event, result, count } of record().counts)
        counter.child(transmitter, event, result).value = count;
    },
  );
  metrics.gauge(
    'sallyport_signal_last_timestamp_seconds',
    'When a security event token of the transmitter was last received and verified, whatever event was in it. Absent before the first.',
    ['transmitter'],
    (set) => {
      for (const [transmitter, atMs] of record().lastMs) set(atMs / 1000, transmitter);
    },
  );
}

/** Of a token that was refused: what is in it is not to be believed. */
const NO_EVENT = 'none';

/** @param atMost how many lines of a kind a second: what one transmitter, or any sender, can cause must not fill the log */
export function signalObserver(
  transmitter: string,
  { signals, log: { logger }, refusalLines }: Pick<Lasting, 'signals' | 'log' | 'refusalLines'>,
  audit: AuditLog,
  atMost: number,
): SignalObserver {
  const count = (event: EventName | typeof NO_EVENT, result: string, by?: number): void =>
    signals.received.count(transmitter, event, result, by);
  const warn = (reason: string, fields: object, message: string): void => {
    const refusal: Refusal = { route: `signals of ${transmitter}`, reason, level: 'warn' };
    if (refusalLines.admits(refusal, atMost)) logger.warn({ transmitter, ...fields }, message);
  };
  // From zero on, so that the first one is an increase.
  for (const event of ENDING_EVENTS) count(event, 'ended', 0);
  return {
    heard: () => signals.received.heard(transmitter),
    counted: count,
    unmapped: (event, subject) =>
      warn(
        'unmapped',
        { event, subject: shapeOf(subject) },
        'a signal ends nothing: no token can match its subject',
      ),
    ended: ({ entry, changed }, from) => {
      const by = entry.createdBy;
      audit.write({ action: 'revoke', by, from, source: by, entry, changed });
    },
    refused: ({ err, message }, from) => {
      count(NO_EVENT, err);
      warn(err, { err, reason: message, client_ip: from }, 'a security event token was refused');
    },
    unavailable: (error, from) => {
      count(NO_EVENT, 'unavailable');
      const fields = { error: describeError(error), client_ip: from };
      warn('unavailable', fields, 'a signal could not be taken; its transmitter is to send it again');
    },
  };
}

/** Which identifiers it has, by the closed lists of members and formats. */
function shapeOf({ members, identifiers }: Subject): string {
  const formats = (of: Subject['identifiers']): string =>
    [...new Set(of.map(({ format }) => format))].join(' and ') || 'of an unknown format';
  return members
    ? [...members].map(([member, of]) => `${member} ${formats(of)}`).join(', ')
    : formats(identifiers);
}
