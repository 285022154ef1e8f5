/** What is wrong with a configuration, and where in it. Pure. */
import type { Path } from './raw-document.ts';

/** One problem of a configuration, at one place. `path` is empty for the file as a whole. */
export interface Problem {
  readonly path: Path;
  /** What is wrong; what to do. */
  readonly message: string;
  /** The key at `path` is meant, not its value. */
  readonly atKey?: boolean;
}

/** Why a file could not be read: `ENOENT`, `EACCES` and their like. */
export function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}

/** The configuration is unusable; `problems` are lines ready to print. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: readonly string[];
  /** The files that the unusable configuration names, as far as it could be read. */
  readonly files: readonly string[];

  constructor(problems: readonly string[], files: readonly string[] = []) {
    super(problems.join('\n'));
    this.problems = problems;
    this.files = files;
  }
}
