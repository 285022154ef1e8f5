/** The keys by which the gateways of a fleet know entries of the store as their own. Pure. */
import { integritySecrets, MIN_INTEGRITY_CHARACTERS } from '../api-keys/signed-keys.ts';

/** What is wrong with what an integrity key file holds; undefined: nothing. */
export function integrityKeyProblem(text: string): string | undefined {
  const short = integritySecrets(text).some((secret) => secret.length < MIN_INTEGRITY_CHARACTERS);
  return short || integritySecrets(text).length === 0
    ? `a line has fewer than ${MIN_INTEGRITY_CHARACTERS} characters, so that entries could be forged; make each line with openssl rand -base64 32`
    : undefined;
}
