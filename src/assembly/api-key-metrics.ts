/** What the metrics and `check` tell about API keys. */
import { expiryOf, namedKeys } from '../api-keys/key-expiry.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Issuers } from './issuers.ts';

export function exposeApiKeys(metrics: Metrics, issuers: () => Issuers, nowMs: () => number): void {
  metrics.gauge('sallyport_api_keys', 'API keys of an issuer, expired ones too.', ['issuer'], (set) => {
    for (const [issuer, { entries }] of issuers().keySources) set([...entries].length, issuer);
  });
  metrics.gauge(
    'sallyport_api_keys_expiring',
    'API keys of an issuer that expire within 7 days, and have not yet.',
    ['issuer'],
    (set) => {
      for (const [issuer, { entries }] of issuers().keySources)
        set(expiryOf(entries, nowMs() / 1000).soon.length, issuer);
    },
  );
  metrics.gauge(
    'sallyport_api_key_file_usable',
    '0 where the file of API keys has changed and cannot be used, so that older keys are in use.',
    ['issuer'],
    (set) => {
      for (const [issuer, { isUsable }] of issuers().keyFiles) set(isUsable ? 1 : 0, issuer);
    },
  );
}

/** One line for each issuer whose keys need attention: what it is, what to do. */
export function apiKeyWarnings(issuers: Issuers, nowMs: number): string[] {
  return [...issuers.keySources].flatMap(([issuer, { entries }]) => {
    const { expired, soon } = expiryOf(entries, nowMs / 1000);
    return [
      ...(soon.length > 0
        ? [
            `issuers.${issuer}: API keys that expire within 7 days: ${namedKeys(soon)}; make new ones, and move their clients`,
          ]
        : []),
      ...(expired.length > 0
        ? [`issuers.${issuer}: API keys that have expired: ${namedKeys(expired)}; remove them`]
        : []),
    ];
  });
}
