/** Whether a race of the benchmark can run here. */
import { spawnSync } from 'node:child_process';

const succeeds = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;

/** @returns the reason of a skipped test; false if all programs and both cores are there */
export function cannotRace(...programs: readonly string[]): string | false {
  const absent = ['taskset', ...programs].filter((program) => !succeeds('which', program));
  if (absent.length > 0) return `${absent.join(', ')} must be installed`;
  const areFree = ['0', '1'].every((core) => succeeds('taskset', '-c', core, 'true'));
  return !areFree && 'proxy and load need the cores 0 and 1';
}
