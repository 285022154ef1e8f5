/** What is allowed with API keys, but risky. Pure. */
import type { Configuration } from './schema.ts';

/** One line for each risk: what it is, what to do. */
export function apiKeyWarnings({ issuers, revocation }: Configuration): string[] {
  return Object.entries(issuers).flatMap(([name, { api_keys: keys }]) =>
    keys?.store === true && revocation.store === 'memory:' && keys.cache_dir === undefined
      ? [
          `issuers.${name}.api_keys: a restart forgets every key, since revocation.store is memory:; use sqlite:FILE or redis://, or set api_keys.cache_dir`,
        ]
      : [],
  );
}
