/** API keys for tests, and the files that hold their digests. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { keySha256, makeKey } from '../../src/api-keys/key-text.ts';

export interface KeyInFile {
  readonly id: string;
  readonly [member: string]: unknown;
}

/** A key that is of no other test, and its entry. */
export function newKey(id: string, more: Readonly<Record<string, unknown>> = { subject: `team-${id}` }) {
  const key = makeKey();
  const entry: KeyInFile = { id, sha256: keySha256(key), ...more };
  return { key, entry };
}

/** A folder of the test with `keys.json`, which `write` replaces as a whole. */
export function keyFile(t: Test, entries: readonly KeyInFile[] | string) {
  const folder = t.testdir({});
  const file = join(folder, 'keys.json');
  const write = (now: readonly KeyInFile[] | string): void => {
    writeFileSync(`${file}.new`, typeof now === 'string' ? now : JSON.stringify(now));
    renameSync(`${file}.new`, file);
  };
  write(entries);
  return { folder, file, write };
}

export function keyIssuer(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { api_keys: { file: 'keys.json', ...more } };
}
