/**
 * Reads the configuration file: parse, interpolate, validate, resolve references and secrets. Either all of
 * it holds, or every problem is reported at once as `file:line:column: path: what is wrong; what to do`.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  isCollection,
  isMap,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Scalar,
} from 'yaml';
import type { z } from 'zod';
import { visible } from './escape-control.ts';
import { interpolate, retype } from './interpolate.ts';
import { namedFiles } from './named-files.ts';
import { errorCode, type Problem } from './problem.ts';
import type { Path } from './raw-document.ts';
import { referenceProblems } from './cross-checks.ts';
import { configurationSchema, type Configuration } from './schema.ts';
import { problemsOf } from './schema-problems.ts';
import { resolveSecrets } from './secrets.ts';

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

export interface LoadedConfiguration {
  readonly configuration: Configuration;
  /** The folder that relative file names resolve from. */
  readonly folder: string;
  readonly file: string;
}

/**
 * Loads a configuration file.
 *
 * @throws ConfigurationError with every problem that was found.
 */
export function loadConfiguration(
  file: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): LoadedConfiguration {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigurationError([
      `${file}: cannot be read (${errorCode(error)}); name a readable file with -c FILE`,
    ]);
  }
  const folder = dirname(resolve(file));
  return { configuration: parseConfiguration(source, file, folder, environment), folder, file };
}

/** As loadConfiguration, for a text that is at hand; `file` is what problems are reported under. */
export function parseConfiguration(
  source: string,
  file: string,
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
): Configuration {
  const lines = new LineCounter();
  const document = parseDocument(source, {
    lineCounter: lines,
    version: '1.2',
    uniqueKeys: true,
    stringKeys: true,
  });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  // One is enough: what follows it is mostly its echo.
  const [syntaxError] = document.errors;
  if (syntaxError) {
    const [offset] = syntaxError.pos;
    const what = (syntaxError.message.split('\n')[0] ?? '').replace(/ at line \d+.*$/, '');
    const variable = source.slice(0, offset + 1).endsWith('${');
    throw new ConfigurationError([
      `${at(offset)}: ${what}; ${variable ? 'inside [ ] and { } put quotes around it: "${NAME}"' : 'mend the YAML here'}`,
    ]);
  }
  if (!isMap(document.contents)) {
    throw new ConfigurationError([`${file}:1:1: the file is not a mapping; start from "sallyport init"`]);
  }
  const aliasProblem = problemOfAliases(document);
  if (aliasProblem)
    throw new ConfigurationError([`${at(aliasProblem.offset)}: ${visible(aliasProblem.message)}`]);
  const { problems: unresolved, plainScalars } = interpolate(document, environment);
  const lineOf = (problem: Problem): string => {
    const where = problem.path.length > 0 ? `${pathText(problem.path)}: ` : '';
    return `${at(offsetOf(document, problem))}: ${visible(where + problem.message)}`;
  };

  const parsed = parseRetyping(document, plainScalars);
  const raw: unknown = document.toJS();
  const unset = unresolved.map(({ offset, message }) => ({ place: at(offset), message }));
  const problems = [
    ...unset.map(({ place, message }) => `${place}: ${message}`),
    ...(parsed.success ? [] : parsed.error.issues.flatMap(problemsOf)).map(lineOf),
    ...referenceProblems(raw).map(lineOf),
  ].filter(
    (line, index) => index < unset.length || !unset.some(({ place }) => line.startsWith(`${place}: `)),
  );
  if (problems.length > 0 || !parsed.success)
    throw new ConfigurationError(sortByPosition([...new Set(problems)]), namedFiles(raw, folder));

  const configuration = parsed.data;
  const secretProblems = resolveSecrets(configuration, folder);
  if (secretProblems.length > 0)
    throw new ConfigurationError(secretProblems.map(lineOf), namedFiles(raw, folder));
  return configuration;
}

/** `*` begins an alias in YAML, and a wildcard everywhere else. */
function problemOfAliases(document: Document): { offset: number; message: string } | undefined {
  const unknown: { offset: number; message: string }[] = [];
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) === undefined)
        unknown.push({
          offset: alias.range?.[0] ?? 0,
          message: `*${alias.source} is an alias of something that is not in this file; put quotes around it: "*${alias.source}"`,
        });
    },
  });
  if (unknown.length > 0) return unknown[0];
  try {
    document.toJS();
    return undefined;
  } catch (error) {
    // A few lines of aliases of aliases can stand for gigabytes.
    if (!(error instanceof ReferenceError)) throw error;
    return { offset: 0, message: 'aliases stand for too much; write it out' };
  }
}

/** Where a number or a boolean was asked for and an interpolated plain scalar stands, its text is read as one. */
function parseRetyping(
  document: Document,
  plainScalars: ReadonlySet<Scalar>,
): z.ZodSafeParseResult<Configuration> {
  const parse = (): z.ZodSafeParseResult<Configuration> =>
    configurationSchema.safeParse(document.toJS(), { reportInput: true });
  const first = parse();
  if (first.success || plainScalars.size === 0) return first;
  for (const issue of first.error.issues) {
    const node = document.getIn(issue.path as Path, true);
    if (isScalar(node) && plainScalars.has(node) && typeof node.value === 'string')
      node.value = retype(node.value);
  }
  return parse();
}

/** The offset in the source of the value at the path, of its key, or of the nearest parent that is there. */
function offsetOf(document: Document, problem: Problem): number {
  for (let length = problem.path.length; length > 0; length--) {
    const path = problem.path.slice(0, length);
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === path.at(-1));
      const key = pair && isScalar(pair.key) ? pair.key : undefined;
      const value = pair?.value as Scalar | null | undefined;
      if (key)
        return (
          (problem.atKey === true || isCollection(value) ? key.range : (value?.range ?? key.range))?.[0] ?? 0
        );
    } else {
      const node = document.getIn(path, true) as Scalar | undefined;
      if (node?.range) return node.range[0];
    }
  }
  return 0;
}

function pathText(path: Path): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}

function sortByPosition(lines: string[]): string[] {
  const key = (line: string): number => {
    const [, row, column] = /:(\d+):(\d+): /.exec(line) ?? [];
    return Number(row ?? 0) * 10_000 + Number(column ?? 0);
  };
  return lines.sort((a, b) => key(a) - key(b));
}
