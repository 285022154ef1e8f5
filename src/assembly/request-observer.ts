/** Who counts, logs and remembers requests. */
import type { LoadedConfiguration } from '../config/load.ts';
import type { Policy } from '../policy.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import { Observer } from '../telemetry/observer.ts';
import { RuleFacts } from '../telemetry/rule-facts.ts';
import type { Lasting } from './generation.ts';
import { RefusalReports } from './refusal-reports.ts';

/** Counts and logs requests as this configuration asks. */
export function requestObserver(loaded: LoadedConfiguration, { routes }: Policy, lasting: Lasting): Observer {
  const { configuration } = loaded;
  const { metrics, log, refusalLines, clock, tracing, seen, causes } = lasting;
  const accessLog = new AccessLog({
    write: log.write,
    key: logKey(loaded, lasting),
    clock,
    refusals: refusalLines,
    refusalsASecond: configuration.log.refusals,
    sample: configuration.log.sample,
    causes,
    facts: configuration.log.facts ? new RuleFacts(routes) : undefined,
  });
  const refusals = new RefusalReports(log.logger, clock);
  return new Observer(
    metrics,
    clock,
    configuration.access_log ? (exchange) => accessLog.write(exchange) : undefined,
    tracing,
    (error) => refusals.refused(error),
    seen,
  );
}

/** Of the hashes that stand for subjects. */
export function logKey({ configuration }: LoadedConfiguration, { randomLogKey }: Lasting): string {
  return configuration.log_key ?? randomLogKey;
}
