/** What happens to the stored API keys, in metrics and in the log. */
import type { KeyEvents, StoredKeys } from '../api-keys/stored-keys.ts';
import { stateOf, type KeyState } from '../api-keys/stored-key.ts';
import type { Clock } from '../clock.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** Time enough to make a new key and to hand it over. */
const EXPIRES_SOON_SECONDS = 14 * 86_400;

export function keyEvents(
  metrics: Metrics,
  logger: Logger,
  told: KeyEvents['changed'] | undefined,
): KeyEvents {
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
        { error: describeError(error) },
        'the store of the API keys is unavailable; those that are known stay in use',
      ),
    found: () => logger.info('the store of the API keys is available again'),
    changed: async (texts, isCurrent) => {
      await told?.(texts, isCurrent);
    },
  };
}

export function exposeApiKeys(metrics: Metrics, keys: StoredKeys, clock: Clock): void {
  metrics.gauge(
    'sallyport_api_keys',
    'API keys in the store: active, expired, or revoked.',
    ['issuer', 'state'],
    (set) => {
      const nowSeconds = clock.nowMs() / 1000;
      const counts = new Map<string, Record<KeyState, number>>();
      for (const issuer of keys.issuers) counts.set(issuer, { active: 0, expired: 0, revoked: 0 });
      for (const key of keys.book.keys()) {
        const count = counts.get(key.issuer);
        if (count) count[stateOf(key, nowSeconds)]++;
      }
      for (const [issuer, count] of counts)
        for (const [state, number] of Object.entries(count)) set(number, issuer, state);
    },
  );
  metrics.gauge(
    'sallyport_api_keys_expiring',
    'Active API keys in the store that expire within 14 days and were not rotated.',
    ['issuer'],
    (set) => {
      const nowSeconds = clock.nowMs() / 1000;
      for (const issuer of keys.issuers) {
        let expiring = 0;
        for (const key of keys.book.keys())
          if (
            key.issuer === issuer &&
            key.replacedBy === undefined &&
            stateOf(key, nowSeconds) === 'active' &&
            (key.entry.expires ?? Infinity) - nowSeconds < EXPIRES_SOON_SECONDS
          )
            expiring++;
        set(expiring, issuer);
      }
    },
  );
  metrics.gauge(
    'sallyport_api_keys_view_age_seconds',
    'Time since the API keys of the store were last known to be complete here.',
    [],
    (set) => {
      if (Number.isFinite(keys.ageMs) && keys.issuers.length > 0) set(keys.ageMs / 1000);
    },
  );
}
