/** What happens to the stored API keys, in metrics and in the log. */
import type { KeyEvents } from '../api-keys/key-events.ts';
import type { StoredKeys } from '../api-keys/stored-keys.ts';
import type { Logger } from '../telemetry/logger.ts';
import { OutageCauses } from '../telemetry/outage-causes.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export function keyEvents(
  metrics: Metrics,
  logger: Logger,
  told: KeyEvents['changed'] | undefined,
): KeyEvents {
  const causes = new OutageCauses();
  return {
    ignored: (issuer) => {
      metrics.apiKeyEntriesIgnored.child(issuer).value++;
      logger.error(
        { issuer },
        'an entry for an API key in the store is not genuine, and is ignored: another program has written it, or a gateway with another integrity key',
      );
    },
    restored: (entries) =>
      logger.warn({ entries }, 'the store had lost entries for API keys, and was given them back'),
    lost: (error) =>
      logger.error(
        { error: causes.begin(error) },
        'the store of the API keys is unavailable; those that are known stay in use',
      ),
    failing: (error) => {
      const cause = causes.another(error);
      if (cause !== undefined)
        logger.error(
          { error: cause },
          'the store of the API keys is still unavailable, now for another cause',
        );
    },
    found: () => logger.info('the store of the API keys is available again'),
    changed: async (texts, isCurrent) => {
      await told?.(texts, isCurrent);
    },
  };
}

/** @param stored undefined where another process follows the store */
export function exposeKeyView(metrics: Metrics, stored: () => StoredKeys | undefined): void {
  metrics.gauge(
    'sallyport_api_keys_view_age_seconds',
    'Time since the API keys of the store were last known to be complete.',
    [],
    (set) => {
      const keys = stored();
      if (keys && Number.isFinite(keys.ageMs) && keys.issuers.length > 0) set(keys.ageMs / 1000);
    },
  );
}
