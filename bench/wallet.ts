/**
 * Tokens that are signed once and kept for some hours in `~/.cache/sallyport-bench`: to sign as many RS256 tokens as no cache holds
 * takes longer than to measure with them.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  badlySigned,
  createCredentials,
  createToken,
  credentialsOf,
  type Algorithm,
  type Credentials,
} from './credentials.ts';

const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sallyport-bench');
/** More than one gateway gets in a run: a full cache keeps the tokens that were first, so that none may come again. */
export const TOKENS = 500_000;
const HOUR_SECONDS = 3_600;
/** How long a wallet is used, and how long its tokens are valid: less than a day, which is what a gateway accepts. */
const [USED_HOURS, VALID_HOURS] = [8, 20];

/** Tokens of one issuer, one a line. */
export interface Wallet {
  readonly credentials: Credentials;
  readonly count: number;
  /** One good token. */
  readonly token: string;
  /** A file of good ones. */
  readonly good: string;
  /** A file with as many that have a bad signature, each another one. */
  readonly bad: string;
  /** A file with one of the bad ones. */
  readonly oneBad: string;
}

/** @param count and a folder of its own: for a test, which measures nothing */
export function openWallet(algorithm: Algorithm, count: number = TOKENS, cache: string = CACHE): Wallet {
  const prefix = `${algorithm}-${count}-`;
  const period = Math.floor(Date.now() / 1000 / HOUR_SECONDS / USED_HOURS);
  const folder = join(cache, `${prefix}${period}`);
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    // Another run may still read those of the period before.
    const isOld = (name: string): boolean =>
      name.startsWith(prefix) && parseInt(name.slice(prefix.length)) < period - 1;
    for (const name of readdirSync(cache).filter(isOld))
      rmSync(join(cache, name), { recursive: true, force: true });
    fill(folder, createCredentials(algorithm), count);
  }
  const privateKey: KeyObject = createPrivateKey(readFileSync(join(folder, 'key.pem')));
  const [good, bad, oneBad] = [join(folder, 'good'), join(folder, 'bad'), join(folder, 'one-bad')];
  const token = readFileSync(good, 'latin1').split('\n', 1)[0] ?? '';
  return { credentials: credentialsOf(algorithm, privateKey), count, token, good, bad, oneBad };
}

/** Gets its name last, when it is whole. */
function fill(folder: string, credentials: Credentials, count: number): void {
  if (count >= TOKENS)
    console.error(`${count} ${credentials.algorithm} tokens are signed; they are kept in ${CACHE}`);
  const unfinished = mkdtempSync(`${folder}.`);
  const exp = Math.floor(Date.now() / 1000) + VALID_HOURS * HOUR_SECONDS;
  const good = Array.from({ length: count }, () => createToken(credentials, { exp }));
  const bad = good.map(badlySigned);
  const lines = (tokens: readonly string[]): string => `${tokens.join('\n')}\n`;
  const key = credentials.privateKey.export({ format: 'pem', type: 'pkcs8' });
  writeFileSync(join(unfinished, 'key.pem'), key, { mode: 0o600 });
  writeFileSync(join(unfinished, 'good'), lines(good));
  writeFileSync(join(unfinished, 'bad'), lines(bad));
  writeFileSync(join(unfinished, 'one-bad'), lines(bad.slice(0, 1)));
  try {
    renameSync(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    // Another run was quicker.
    if (!existsSync(folder)) throw error;
  }
}
