/**
 * The end of the npm or npx that started this process. npm that is killed, or that a shell stands behind, leaves what it
 * started running: without this the gateway would hold its port as an orphan.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Clock } from '../clock.ts';

/** How often the parent is looked for: one system call. */
const LOOK_MS = 500;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Resolves when the npm process that is the parent at the call has ended; never where the parent is anything else. A
 * gateway that a script of npm puts in the background has another parent (a shell, or init), and lives on.
 */
export async function npmParentEnded(clock: Clock, environment: Environment = process.env): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const parent = process.ppid;
  if (!isStartedByNpm(environment) || !isNpm(commandLineOf(parent), environment)) return promise;
  // An orphan gets another parent: init, or the nearest process that collects orphans.
  const look = (): void => {
    if (process.ppid === parent) clock.after(LOOK_MS, look);
    else resolve();
  };
  look();
  return promise;
}

/** npm tells what it starts where it is itself; processes further down inherit that, so it is not proof. */
function isStartedByNpm({ npm_execpath, npm_command, npm_lifecycle_event }: Environment): boolean {
  return [npm_execpath, npm_command, npm_lifecycle_event].some(
    (value) => value !== undefined && value !== '',
  );
}

/**
 * Is this the command line of npm or npx? Pure.
 *
 * @param commandLine words separated by NUL or spaces. npm gives itself a title such as `npm exec sallyport`.
 */
export function isNpm(commandLine: string, { npm_execpath }: Environment): boolean {
  const words = commandLine.split(/[\0 ]+/).filter((word) => word !== '');
  const [program = '', script = ''] = words;
  return (
    /^np[mx]$/.test(program) ||
    (/(?:^|\/)node$/.test(program) &&
      (script === npm_execpath || /(?:^|\/)(?:npm|npx|npm-cli\.js|npx-cli\.js)$/.test(script)))
  );
}

/** Empty where it cannot be read: then the parent is not taken for npm. */
function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return commandLineByPs(pid);
  }
}

/** Where there is no /proc, as on macOS. */
function commandLineByPs(pid: number): string {
  try {
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return '';
  }
}
