/**
 * Reads the configuration file: parse, interpolate, validate, resolve references and secrets. Either all of
 * it holds, or every problem is reported at once as `file:line:column: path: what is wrong; what to do`.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isCollection, isMap, isScalar, LineCounter, parseDocument, type Document, type Scalar } from 'yaml';
import type { z } from 'zod';
import { interpolate, retype } from './interpolate.ts';
import { referenceProblems } from './references.ts';
import { configurationSchema, type Configuration } from './schema.ts';
import { nearest } from './suggest.ts';
import {
  TLS_FILES,
  tlsClientProblem,
  tlsServerProblem,
  type TlsClientConfiguration,
  type TlsServerConfiguration,
} from './tls-schema.ts';

type Path = readonly (string | number)[];

/** One problem of a configuration, at one place. `path` is empty for the file as a whole. */
export interface Problem {
  readonly path: Path;
  /** What is wrong; what to do. */
  readonly message: string;
  /** The key at `path` is meant, not its value. */
  readonly atKey?: boolean;
}

/** The configuration is unusable; `problems` are lines ready to print. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
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
  const { problems: unresolved, plainScalars } = interpolate(document, environment);
  const lineOf = (problem: Problem): string =>
    `${at(offsetOf(document, problem))}: ${problem.path.length > 0 ? `${pathText(problem.path)}: ` : ''}${problem.message}`;

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
    throw new ConfigurationError(sortByPosition([...new Set(problems)]));

  const configuration = parsed.data;
  const secretProblems = resolveSecrets(configuration, folder);
  if (secretProblems.length > 0) throw new ConfigurationError(secretProblems.map(lineOf));
  return configuration;
}

/** Where a number or a boolean was asked for and an interpolated plain scalar stands, its text is read as one. */
function parseRetyping(
  document: Document,
  plainScalars: ReadonlySet<Scalar>,
): z.ZodSafeParseResult<Configuration> {
  const first = configurationSchema.safeParse(document.toJS());
  if (first.success || plainScalars.size === 0) return first;
  for (const issue of first.error.issues) {
    const node = document.getIn(issue.path as Path, true);
    if (isScalar(node) && plainScalars.has(node) && typeof node.value === 'string')
      node.value = retype(node.value);
  }
  return configurationSchema.safeParse(document.toJS());
}

/** Puts the content of every `x_file` into `x`, so that later code knows one place only. */
function resolveSecrets(configuration: Configuration, folder: string): Problem[] {
  const problems: Problem[] = [];
  const resolveIn = (holder: Record<string, unknown>, key: string, path: Path): void => {
    const fileKey = `${key}_file`;
    const file = holder[fileKey];
    if (typeof file !== 'string') return;
    if (holder[key] !== undefined) {
      problems.push({
        path: [...path, fileKey],
        message: `${key} and ${fileKey} exclude each other; keep one`,
      });
      return;
    }
    try {
      // Editors and `echo` end a file with a line end that is no part of the secret.
      const secret = readFileSync(resolve(folder, file), 'utf8').replace(/\r?\n$/, '');
      if (secret === '')
        problems.push({ path: [...path, fileKey], message: 'the file is empty; put the secret into it' });
      holder[key] = secret;
    } catch (error) {
      problems.push({
        path: [...path, fileKey],
        message: `the file cannot be read (${errorCode(error)}); create it, or mend its name or rights`,
      });
    }
  };
  resolveIn(configuration, 'log_key', []);
  resolveIn(configuration.admin, 'token', ['admin']);
  configuration.admin.tokens?.forEach((token, index) => {
    resolveIn(token, 'token', ['admin', 'tokens', index]);
    if (token.token === undefined && token.token_file === undefined) {
      problems.push({ path: ['admin', 'tokens', index], message: 'has no token; add token_file' });
    }
  });
  for (const [name, issuer] of Object.entries(configuration.issuers)) {
    resolveIn(issuer, 'hmac_secret', ['issuers', name]);
    if (issuer.introspection)
      resolveIn(issuer.introspection, 'client_secret', ['issuers', name, 'introspection']);
  }
  const { store } = configuration.revocation;
  if (typeof store === 'object') {
    resolveIn(store, 'password', ['revocation', 'store']);
    if ('sentinels' in store) resolveIn(store, 'sentinel_password', ['revocation', 'store']);
  }
  const resolveTls = (tls: TlsClientConfiguration | undefined, path: Path): void => {
    if (!tls) return;
    const before = problems.length;
    for (const key of TLS_FILES) resolveIn(tls, key, path);
    const message = problems.length === before ? tlsClientProblem(tls) : undefined;
    if (message !== undefined) problems.push({ path, message });
  };
  const resolveServer = (tls: TlsServerConfiguration | undefined, path: Path): void => {
    if (!tls) return;
    const before = problems.length;
    for (const key of ['cert', 'key', 'client_ca']) resolveIn(tls, key, path);
    tls.certificates.forEach((pair, at) => {
      for (const key of ['cert', 'key']) resolveIn(pair, key, [...path, 'certificates', at]);
    });
    const message = problems.length === before ? tlsServerProblem(tls) : undefined;
    if (message !== undefined) problems.push({ path, message });
  };
  configuration.listeners.forEach(({ tls }, index) => resolveServer(tls, ['listeners', index, 'tls']));
  resolveServer(configuration.admin.tls, ['admin', 'tls']);
  resolveTls(configuration.revocation.tls, ['revocation', 'tls']);
  for (const [name, { tls }] of Object.entries(configuration.upstreams))
    resolveTls(tls, ['upstreams', name, 'tls']);
  return problems;
}

function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.filter((part) => typeof part !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(path);
    return issue.keys.map((key) => {
      const guess = nearest(key, known);
      return {
        path: [...path, key],
        atKey: true,
        message: `unknown key; ${guess === undefined ? `remove it (known here: ${known.join(', ')})` : `did you mean ${guess}?`}`,
      };
    });
  }
  if (issue.code === 'invalid_key') {
    const reason = issue.issues[0]?.message ?? 'is not a valid name';
    return [{ path, atKey: true, message: `${reason}; rename it` }];
  }
  if (issue.code === 'invalid_type' && issue.input === undefined && issue.message.includes('undefined')) {
    return [{ path, message: 'is missing; add it' }];
  }
  const message = issue.message.replace(/^Invalid input: /, '').replace(/^Too small: |^Too big: /, '');
  return [{ path, message: message.includes(';') ? message : `${message}; change it` }];
}

/** The keys that the schema knows at a path, for "did you mean". */
function knownKeys(path: Path): string[] {
  let schema: unknown = configurationSchema;
  for (const part of path) schema = child(unwrap(schema), part);
  const shape = (unwrap(schema) as { shape?: object } | undefined)?.shape;
  return shape ? Object.keys(shape) : [];
}

interface Definition {
  readonly innerType?: unknown;
  readonly element?: unknown;
  readonly valueType?: unknown;
  readonly options?: readonly unknown[];
}
const definitionOf = (schema: unknown): Definition => (schema as { def?: Definition } | undefined)?.def ?? {};

function unwrap(schema: unknown): unknown {
  let current = schema;
  for (;;) {
    const { innerType, options } = definitionOf(current);
    const inner = innerType ?? options?.find((option) => (option as { shape?: object }).shape !== undefined);
    if (inner === undefined) return current;
    current = inner;
  }
}

function child(schema: unknown, part: string | number): unknown {
  const { element, valueType } = definitionOf(schema);
  return (schema as { shape?: Record<string, unknown> } | undefined)?.shape?.[part] ?? element ?? valueType;
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

function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error';
}
