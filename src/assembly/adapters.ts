/** Adapters as a configuration asks for them: the revocation store, the signer of assertions. */
import { resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import { redisLocation } from '../config/redis-location.ts';
import { parseJson } from './issuers.ts';
import { MemoryStore } from '../revocation/memory-store.ts';
import { RedisStore } from '../revocation/redis-store.ts';
import type { RevocationStore } from '../revocation/revocation-store.ts';
import { SqliteStore } from '../revocation/sqlite-store.ts';
import { describeError } from '../telemetry/logger.ts';
import { JwtAssertionSigner } from '../identity/assertion-jwt.ts';

/** @throws ConfigurationError where it cannot be opened; Redis is connected to later */
export function openStore(
  { configuration, folder, file }: LoadedConfiguration,
  clock: Clock,
): RevocationStore {
  const { store } = configuration.revocation;
  const location = redisLocation(configuration.revocation);
  if (location) return new RedisStore(location, clock);
  if (typeof store !== 'string') throw new TypeError('the store is none that is known');
  if (store === 'memory:') return new MemoryStore(clock);
  const path = resolve(folder, store.slice('sqlite:'.length));
  try {
    return new SqliteStore(path, clock);
  } catch (error) {
    throw new ConfigurationError([
      `${file}: revocation.store: ${path} cannot be opened (${describeError(error)}); mend its folder or rights`,
    ]);
  }
}

const ASSERTION_KEY = 'a private Ed25519 or P-256 JWK';

/** @throws ConfigurationError where its key cannot be used */
export function assertionSigner(
  { configuration, folder, file }: LoadedConfiguration,
  clock: Clock,
): JwtAssertionSigner | undefined {
  const { assertion } = configuration.identity;
  if (!assertion) return undefined;
  // A file that cannot be read and one that holds something else have different remedies: each says its own, once.
  const unusable = (error: unknown, remedy: string): ConfigurationError =>
    new ConfigurationError([
      `${file}: identity.assertion.key_file: ${error instanceof Error ? error.message : String(error)}${remedy}`,
    ]);
  let keys: unknown;
  try {
    keys = parseJson(resolve(folder, assertion.key_file), ASSERTION_KEY);
  } catch (error) {
    throw unusable(error, '');
  }
  try {
    return new JwtAssertionSigner(
      {
        header: assertion.header,
        issuer: configuration.name,
        lifetimeSeconds: assertion.lifetime / 1000,
        claims: assertion.claims,
      },
      keys,
      clock,
    );
  } catch (error) {
    throw unusable(error, `; put ${ASSERTION_KEY} there`);
  }
}
