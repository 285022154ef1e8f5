/** The public keys of receipts and checkpoints, from a file or from an admin listener. */
import { proofKeys } from '../identity/proof-jws.ts';
import { describeError } from '../telemetry/logger.ts';
import type { VerificationKey } from '../token/verification-key.ts';
import { CommandFailed, readFile } from './command.ts';

const TIMEOUT_MS = 10_000;

/**
 * @param source a URL, or the name of a file
 * @throws CommandFailed where it gives no such key
 */
export async function proofKeysFrom(source: string): Promise<readonly VerificationKey[]> {
  let set: unknown;
  try {
    set = /^https?:\/\//.test(source) ? await fetched(source) : JSON.parse(readFile(source));
  } catch (error) {
    if (error instanceof CommandFailed) throw error;
    throw new CommandFailed(`the keys ${source} cannot be read (${describeError(error)})`);
  }
  const keys = proofKeys(set);
  if (keys.length === 0)
    throw new CommandFailed(`${source} holds no key of proofs; give the JWK Set of proof-jwks.json`);
  return keys;
}

async function fetched(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new CommandFailed(`${url} responds with ${response.status}; is proof configured?`);
  return response.json();
}
