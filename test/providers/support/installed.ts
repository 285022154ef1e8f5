/**
 * What the authorization servers are installed into: a folder outside the repository, which later runs use again. Maven
 * and Go download to caches of their own, by the registries that the machine has configured.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sallyport-providers');

/** The sources of the suite’s own that are built, such as hydra/main.go. */
export const sourceOf = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

/**
 * Returns the folder of one installation. `install` fills an empty folder if there is none yet for this name and these
 * sources. A folder that is there is whole: it gets its name last.
 */
export function installed(
  name: string,
  sources: readonly string[],
  install: (folder: string) => void,
): string {
  const hash = createHash('sha256');
  for (const source of sources) hash.update(readFileSync(source));
  const folder = join(CACHE, `${name}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const unfinished = mkdtempSync(`${folder}.`);
  try {
    install(unfinished);
    renameSync(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    // Another run was quicker.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/**
 * Installs now, so that a machine that cannot download or build it skips the tests, and says so.
 *
 * @returns the reason of a skipped test; false if it is installed
 */
export function notInstalled(name: string, install: () => unknown): string | false {
  try {
    install();
    return false;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    console.error(text);
    return `${name} cannot be downloaded or built here: ${text.split('\n', 1)[0]}`;
  }
}

/** Runs a program to its end; throws what it printed if it fails. */
export function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): void {
  const options = { cwd, encoding: 'utf8', env: { ...process.env, ...env } } as const;
  const { status, error, stdout, stderr } = spawnSync(command, args, options);
  if (status === 0) return;
  throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? ''}\n${stdout}\n${stderr}`);
}
