/**
 * Makes the admin token and the key of the hashes in the log, for their owner alone: `secrets.ts FOLDER UID`. Those that are
 * there stay, so that a restart changes neither.
 */
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [, , folder = '', owner = ''] = process.argv;
for (const name of ['admin-token', 'log-key']) {
  const file = join(folder, name);
  if (existsSync(file)) continue;
  // It gets its name when it is whole.
  const unfinished = `${file}.new`;
  writeFileSync(unfinished, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  chownSync(unfinished, Number(owner), Number(owner));
  renameSync(unfinished, file);
}
