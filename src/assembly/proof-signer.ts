/** The signer of receipts and checkpoints that a configuration asks for. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import { errorCode } from '../config/problem.ts';
import { ProofSigner } from '../identity/proof-jws.ts';
import { publicJwkOfPem, signingKeyOfPem, type PublicJwk } from '../identity/signing-key.ts';
import { keyThumbprint } from '../token/key-thumbprint.ts';

const PRIVATE = 'make an Ed25519 or P-256 key (openssl genpkey -algorithm ed25519 -out FILE)';
const PUBLIC = 'put the public key there (openssl pkey -in OLD.pem -pubout -out FILE)';

/**
 * @param assertionKeys the public keys of assertions, which must be others: what is signed for one purpose is then never taken
 *                      for another, however a reader handles `typ`
 * @returns undefined where nothing is to be signed
 * @throws ConfigurationError where a key cannot be used
 */
export function proofSigner(
  loaded: LoadedConfiguration,
  assertionKeys: readonly PublicJwk[] = [],
): ProofSigner | undefined {
  const { proof } = loaded.configuration;
  if (!proof) return undefined;
  const read = <T>(key: string, file: string, remedy: string, keyOf: (pem: string) => T): T =>
    within(loaded, key, () => {
      const pem = textOf(resolve(loaded.folder, file));
      try {
        return keyOf(pem);
      } catch (error) {
        throw new TypeError(`${String((error as Error).message)}; ${remedy}`, { cause: error });
      }
    });
  const key = read('key_file', proof.key_file, PRIVATE, (pem) => signingKeyOfPem(pem, proof.key_id));
  const previous = proof.previous_keys.map(({ public_key_file: file, key_id: keyId }, index) =>
    read(`previous_keys[${index}].public_key_file`, file, PUBLIC, (pem) => publicJwkOfPem(pem, keyId)),
  );
  return within(loaded, 'key_file', () => {
    const taken = new Set(assertionKeys.map(keyThumbprint));
    if ([key.publicJwk, ...previous].some((jwk) => taken.has(keyThumbprint(jwk))))
      throw new TypeError(`it is a key of identity.assertion too; ${PRIVATE}`);
    if (previous.some((jwk) => keyThumbprint(jwk) === keyThumbprint(key.publicJwk)))
      throw new TypeError('it is one of previous_keys too; remove it there');
    return new ProofSigner(key, previous);
  });
}

/** @throws ConfigurationError that names the key in the place of what is thrown */
function within<T>({ file }: LoadedConfiguration, key: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    throw new ConfigurationError([`${file}: proof.${key}: ${String((error as Error).message)}`]);
  }
}

function textOf(file: string): string {
  try {
    // Behind a byte order mark, as editors on Windows write it, OpenSSL finds no PEM.
    return readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    throw new TypeError(
      `${file} cannot be read (${errorCode(error)}); create it, or fix its name or permissions`,
      { cause: error },
    );
  }
}
