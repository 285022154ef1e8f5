/**
 * Why `run` does not start: for people on a terminal; as a line of the log on a standard output that is none, so that a
 * collector of JSON lines reads it like every other line.
 */
import { asciiJson } from '../telemetry/log-text.ts';
import { printError } from './command.ts';

export function tellStartFailure(problem: string): void {
  if (!process.stdout.isTTY) {
    const line = {
      level: 'fatal',
      time: new Date().toISOString(),
      problem,
      msg: 'the gateway does not start',
    };
    process.stdout.write(`${asciiJson(JSON.stringify(line))}\n`);
  }
  // Standard output may go to a file while a person looks at the terminal.
  if (process.stdout.isTTY || process.stderr.isTTY) printError(problem);
}
