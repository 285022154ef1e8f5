/**
 * Reads the configuration file: parse, interpolate, validate, resolve references and secrets. Either all of
 * it holds, or every problem is reported at once as `file:line:column: path: what is wrong; what to do`.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isCollection, isMap, isScalar, type Document, type Scalar } from 'yaml';
import type { z } from 'zod';
import { adminTokenProblems } from './admin-problems.ts';
import { visible } from './escape-control.ts';
import { atProvider, expandProviders } from './expand-providers.ts';
import { interpolate, retype } from './interpolate.ts';
import { namedFiles } from './named-files.ts';
import { ConfigurationError, errorCode, type Problem } from './problem.ts';
import { resolveProxies } from './proxy-environment.ts';
import type { Path } from './raw-document.ts';
import { referenceProblems } from './cross-checks.ts';
import { configurationSchema, type Configuration } from './schema.ts';
import { problemsOf } from './schema-problems.ts';
import { resolveSecrets } from './secrets.ts';
import { parseYaml } from './parse-yaml.ts';
import { withinForm } from './union-issues.ts';

export { ConfigurationError };

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
  const folder = dirname(resolve(file));
  return { configuration: parseConfiguration(readSource(file), file, folder, environment), folder, file };
}

/** @throws ConfigurationError where the file cannot be read */
export function readSource(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigurationError([
      `${file}: cannot be read (${errorCode(error)}); name a readable file with -c FILE`,
    ]);
  }
}

/** As loadConfiguration, for a text; problems are reported under `file`. */
export function parseConfiguration(
  source: string,
  file: string,
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
): Configuration {
  const { document, at } = parseYaml(source, file);
  const { problems: unresolved, plainScalars } = interpolate(document, environment);
  const lineOf = (problem: Problem): string => {
    const where = problem.path.length > 0 ? `${pathText(problem.path)}: ` : '';
    return `${at(offsetOf(document, problem))}: ${visible(where + problem.message)}`;
  };

  const parsed = parseRetyping(document, plainScalars);
  const own: unknown = document.toJS();
  const raw = expandProviders(own);
  const unset = unresolved.map(({ offset, message }) => ({ place: at(offset), message }));
  const found = [
    ...(parsed.success ? [] : parsed.error.issues.flatMap(withinForm).flatMap(problemsOf)),
    ...referenceProblems(raw),
  ].map((problem) => lineOf(atProvider(problem, own, raw)));
  const problems = [
    ...unset.map(({ place, message }) => `${place}: ${message}`),
    // What is found where a variable is unset follows from that.
    ...found.filter((line) => !unset.some(({ place }) => line.startsWith(`${place}: `))),
  ];
  if (problems.length > 0 || !parsed.success)
    throw new ConfigurationError(sortByPosition([...new Set(problems)]), namedFiles(raw, folder));

  const secretProblems = [
    ...resolveSecrets(parsed.data, folder),
    ...resolveProxies(parsed.data, environment),
    ...adminTokenProblems(parsed.data.admin),
  ];
  if (secretProblems.length > 0)
    throw new ConfigurationError(secretProblems.map(lineOf), namedFiles(raw, folder));
  return parsed.data;
}

/** Where a number or a boolean was asked for and an interpolated plain scalar stands, its text is read as one. */
function parseRetyping(
  document: Document,
  plainScalars: ReadonlySet<Scalar>,
): z.ZodSafeParseResult<Configuration> {
  const parse = (): z.ZodSafeParseResult<Configuration> =>
    configurationSchema.safeParse(expandProviders(document.toJS()), { reportInput: true });
  const first = parse();
  if (first.success || plainScalars.size === 0) return first;
  for (const issue of first.error.issues.flatMap(withinForm)) {
    const node = document.getIn(issue.path as Path, true);
    if (isScalar(node) && plainScalars.has(node) && typeof node.value === 'string')
      node.value = retype(node.value);
  }
  return parse();
}

/** The offset in the source of the value at the path, of its key, or of the nearest parent that is there. */
export function offsetOf(document: Document, problem: Problem): number {
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

export function pathText(path: Path): string {
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
