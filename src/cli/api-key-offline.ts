/** A new key, and its entry for the file of an issuer: no gateway is asked. */
import { randomBytes } from 'node:crypto';
import { systemClock } from '../clock.ts';
import { keySha256, makeKey } from '../api-keys/key-text.ts';
import { apiKeyEntry } from '../config/api-key-entry.ts';
import { UsageError } from './command.ts';

const ID_BYTES = 9;

/** @throws UsageError where a file could not hold it */
export function newEntry(rights: Readonly<Record<string, unknown>> & { readonly id: string | undefined }): {
  readonly key: string;
  readonly entry: object;
} {
  const key = makeKey();
  const { id = `k${randomBytes(ID_BYTES).toString('base64url')}`, ...rest } = rights;
  const created = Math.floor(systemClock.nowMs() / 1000);
  const entry = { id, sha256: keySha256(key), ...rest, created };
  const parsed = apiKeyEntry.safeParse(entry);
  if (!parsed.success)
    throw new UsageError(
      parsed.error.issues.map(({ path, message }) => [...path, message].join(': ')).join('; '),
    );
  // Members that say nothing are left out.
  return { key, entry: JSON.parse(JSON.stringify(entry)) as object };
}
