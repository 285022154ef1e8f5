/**
 * The end of the npm or npx that started this process. npm that is killed, or that a shell stands behind, leaves what it
 * started running: without this the gateway would hold its port as an orphan.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Clock } from '../clock.ts';

/** How often the parent is looked for: a system call or two. */
const LOOK_MS = 500;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Resolves when the npm process that started this one has ended; never where something else did. npm is the parent, or
 * the parent of a shell that only waits. A gateway that a script of npm puts in the background lives on.
 */
export async function npmParentEnded(clock: Clock, environment: Environment = process.env): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const parent = process.ppid;
  const npm = isStartedByNpm(environment) ? npmAbove(parent, environment) : undefined;
  if (npm === undefined) return promise;
  // An orphan gets another parent at once: init, or the nearest process that collects orphans.
  const isLeft = (): boolean => process.ppid !== parent || (npm !== parent && !isParentOf(npm, parent));
  const look = (): void => {
    if (isLeft()) resolve();
    else clock.after(LOOK_MS, look);
  };
  look();
  return promise;
}

/** The npm that is this process, or is behind it where it is the shell of a script. */
function npmAbove(pid: number, environment: Environment): number | undefined {
  const commandLine = commandLineOf(pid);
  if (isNpm(commandLine, environment)) return pid;
  if (!isWaitingShell(commandLine)) return undefined;
  const above = parentOf(pid);
  return isNpm(commandLineOf(above), environment) ? above : undefined;
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

/**
 * Is this the shell of a script that waits for what it starts? Pure.
 *
 * One that puts something in the background says so: then the gateway is meant to outlive it.
 */
export function isWaitingShell(commandLine: string): boolean {
  const [shell = '', option, ...script] = commandLine.split(/[\0 ]+/);
  return (
    /(?:^|\/)(?:sh|ash|dash|bash|zsh)$/.test(shell) &&
    option === '-c' &&
    !/(?:^|[^&>])&(?![&>])|\b(?:nohup|setsid|disown)\b/.test(script.join(' '))
  );
}

/** Empty where it cannot be read: then the process is not taken for npm. */
function commandLineOf(pid: number): string {
  return processFile(pid, 'cmdline') ?? ps('command=', pid);
}

function parentOf(pid: number): number {
  const stat = processFile(pid, 'stat');
  // `pid (name) state ppid …`: a name may hold spaces and parentheses.
  return Number(stat?.slice(stat.lastIndexOf(')') + 1).split(' ')[2] ?? ps('ppid=', pid));
}

function isParentOf(parent: number, child: number): boolean {
  if (processFile(child, 'stat') !== undefined) return parentOf(child) === parent;
  try {
    process.kill(parent, 0);
    return true;
  } catch {
    return false;
  }
}

function processFile(pid: number, name: 'cmdline' | 'stat'): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return undefined;
  }
}

/** Where there is no /proc, as on macOS. */
function ps(field: 'command=' | 'ppid=', pid: number): string {
  try {
    return execFileSync('ps', ['-o', field, '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}
