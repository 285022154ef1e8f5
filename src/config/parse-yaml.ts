/** The text of a configuration file as a YAML document. Pure. */
import { isMap, LineCounter, parseDocument, visit, type Document } from 'yaml';
import { visible } from './escape-control.ts';
import { ConfigurationError } from './problem.ts';

export interface ParsedYaml {
  /** A mapping without syntax errors, whose aliases can all be resolved. */
  readonly document: Document;
  /** `file:line:column` of an offset in the source. */
  readonly at: (offset: number) => string;
}

const SECOND_DOCUMENT =
  'a second YAML document begins here; keep one document in the file, and remove this "---" or what comes after it';

/**
 * @param file what problems are reported under
 * @throws ConfigurationError with the first problem: what follows a syntax error is mostly its echo
 */
export function parseYaml(source: string, file: string): ParsedYaml {
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
  const [syntaxError] = document.errors;
  if (syntaxError) {
    const [offset] = syntaxError.pos;
    if (syntaxError.code === 'MULTIPLE_DOCS')
      throw new ConfigurationError([`${at(offset)}: ${SECOND_DOCUMENT}`]);
    throw new ConfigurationError([`${at(offset)}: ${syntaxProblem(syntaxError.message, source, offset)}`]);
  }
  if (!isMap(document.contents)) {
    throw new ConfigurationError([`${file}:1:1: the file is not a mapping; start from "sallyport init"`]);
  }
  const aliasProblem = problemOfAliases(document);
  if (aliasProblem)
    throw new ConfigurationError([`${at(aliasProblem.offset)}: ${visible(aliasProblem.message)}`]);
  return { document, at };
}

function syntaxProblem(message: string, source: string, offset: number): string {
  const what = (message.split('\n')[0] ?? '').replace(/ at line \d+.*$/, '');
  const before = source.slice(0, offset + 1);
  const quoted = before.endsWith('${')
    ? '"${NAME}"'
    : before.endsWith('/{')
      ? '"/tenants/{tenant}"'
      : undefined;
  return `${what}; ${quoted === undefined ? 'correct the YAML here' : `inside [ ] and { } put quotes around it: ${quoted}`}`;
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
