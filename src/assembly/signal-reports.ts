/** What the gateway tells of signals: counters, and when each transmitter was heard last. */
import type { SignalRecord } from '../telemetry/signal-record.ts';
import type { Metrics } from '../telemetry/metrics.ts';

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
