/**
 * What a command is, and how its arguments are read. Exit codes: 0 fine, 1 it failed or the configuration is
 * invalid, 2 wrong usage, 3 `explain` denies.
 */
import { readFileSync } from 'node:fs';
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { existsSync } from 'node:fs';
import { visible } from '../config/escape-control.ts';
import { loadConfiguration, type LoadedConfiguration } from '../config/load.ts';

export interface Arguments {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** What stands behind `sallyport NAME`, and a line for each option. */
  readonly usage: string;
  readonly options: ParseArgsOptionsConfig;
  /** How many arguments may stand without a flag. */
  readonly positionals?: { readonly min: number; readonly max: number };
  run(args: Arguments): Promise<number>;
}

/** The command was called wrongly: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** It failed in a way that a line explains: exit code 1. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
}

export const CONFIG_OPTION = { config: { type: 'string', short: 'c' } } as const;
export const JSON_OPTION = { json: { type: 'boolean' } } as const;

export function parseArguments(command: Command, argv: readonly string[]): Arguments {
  const { min, max } = command.positionals ?? { min: 0, max: 0 };
  let parsed;
  try {
    parsed = parseArgs({ args: [...argv], options: command.options, allowPositionals: max > 0 });
  } catch (error) {
    if ('token-file' in command.options && argv.some((argument) => /^--token(?:=|$)/.test(argument)))
      throw new UsageError(
        'a token never stands on the command line, where every user can read it; use --token-file FILE, or - as FILE for standard input',
      );
    // Node adds how an argument that begins with a dash is written, which no command here takes.
    throw new UsageError(
      error instanceof Error ? (error.message.split(/\n|\. To specify/)[0] ?? '') : String(error),
    );
  }
  if (parsed.positionals.length < min) throw new UsageError('an argument is missing');
  if (parsed.positionals.length > max)
    throw new UsageError(`"${parsed.positionals[max]}" is one argument too many`);
  return parsed;
}

export function text(args: Arguments, name: string): string | undefined {
  const value = args.values[name];
  return typeof value === 'string' ? value : undefined;
}

export function flag(args: Arguments, name: string): boolean {
  return args.values[name] === true;
}

const DEFAULT_FILES = ['sallyport.yaml', 'config/sallyport.yaml', '/etc/sallyport/sallyport.yaml'];

/** The file of -c, or the first of the usual places. */
export function configurationFile(args: Arguments): string {
  const file = text(args, 'config') ?? DEFAULT_FILES.find((candidate) => existsSync(candidate));
  if (file === undefined) {
    throw new CommandFailed(
      `there is no configuration (looked for ${DEFAULT_FILES.join(', ')}); name one with -c FILE, or make one with "sallyport init"`,
    );
  }
  return file;
}

export function configurationOf(args: Arguments): LoadedConfiguration {
  return loadConfiguration(configurationFile(args));
}

/** A token from a file, or from standard input for `-`. Never from the command line, where every user could read it. */
export function readToken(args: Arguments): string | undefined {
  const file = text(args, 'token-file') ?? (args.positionals.includes('-') ? '-' : undefined);
  if (file === undefined) return undefined;
  return readText(file, 'token');
}

/**
 * What a file holds, or standard input.
 *
 * @param what of a word, for people
 * @throws CommandFailed where it cannot be read, or is empty
 */
export function readText(file: string, what: string): string {
  let read: string;
  try {
    read = readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch (error) {
    throw new CommandFailed(
      `the ${what} file ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  if (read === '') throw new CommandFailed(`the ${what} file ${file} is empty`);
  return read;
}

/** @throws CommandFailed where the file cannot be read */
export function readFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new CommandFailed(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** A time as people write it: RFC 3339, or seconds since 1970. In seconds. */
export function timeOf(value: string): number {
  const isSeconds = /^\d{1,12}(\.\d+)?$/.test(value) && !LOOKS_LIKE_A_DATE.test(value);
  const seconds = isSeconds ? Number(value) : ISO_DATE.test(value) ? Date.parse(value) / 1000 : NaN;
  if (Number.isNaN(seconds))
    throw new UsageError(`"${value}" is no time; write 2026-01-31T12:00:00Z, or seconds since 1970`);
  return seconds;
}

/** A year, or 20260131: as seconds both are a time of 1970. */
const LOOKS_LIKE_A_DATE = /^(?:19|20)\d{2}(?:\d{4})?$/;
/** Of other forms, such as 1/2/2026, Date.parse guesses which is the month. */
const ISO_DATE = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/i;

/** Tokens, paths and names are untrusted text: control characters other than line ends are escaped. */
export function print(text: string): void {
  process.stdout.write(`${text.split('\n').map(visible).join('\n')}\n`);
}

/** As print, to standard error. */
export function printError(text: string): void {
  process.stderr.write(`${text.split('\n').map(visible).join('\n')}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Columns that line up; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
