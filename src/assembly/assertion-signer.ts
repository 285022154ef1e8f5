/** The signer of assertions that a configuration asks for, and where its public keys are served. */
import { resolve } from 'node:path';
import type { Clock } from '../clock.ts';
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import { protectedResources } from '../config/protected-resources.ts';
import { isSigned } from '../config/resource-metadata.ts';
import type { KeysEndpoint } from '../handlers/keys-endpoint.ts';
import { JwtAssertionSigner } from '../identity/assertion-jwt.ts';
import { parseJson } from './json-file.ts';

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
        signsMetadata: protectedResources(configuration).some(isSigned),
      },
      keys,
      clock,
    );
  } catch (error) {
    throw unusable(error, `; put ${ASSERTION_KEY} there`);
  }
}

/** Returns the public keys as they are then, since keys that were taken out go later. Undefined where nothing is signed. */
export function publicKeysOf(signer: JwtAssertionSigner | undefined): (() => object) | undefined {
  return signer && (() => signer.publicKeys);
}

/** Undefined where the keys are not published on listeners that forward. */
export function keysEndpoint(
  { configuration }: LoadedConfiguration,
  signer: JwtAssertionSigner | undefined,
): KeysEndpoint | undefined {
  const place = configuration.identity.assertion?.publish;
  const publicKeys = publicKeysOf(signer);
  return place && publicKeys && { place, publicKeys };
}
