/** What the schema finds, in words that say what to do. Pure. */
import type { z } from 'zod';
import type { Problem } from './problem.ts';
import { providerMeantBy } from './provider-aliases.ts';
import type { Path } from './raw-document.ts';
import { configurationSchema } from './schema.ts';
import { nearest } from './suggest.ts';

/** The problems behind one issue, which must tell its input (`reportInput`). Messages never hold the input itself. */
export function problemsOf(issue: z.core.$ZodIssue): Problem[] {
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
  const own = issue.message.replace(/^Invalid input: |^Too small: |^Too big: /, '');
  const generic = own !== issue.message;
  if (issue.input === undefined)
    return [{ path, message: generic ? 'is missing; add it' : `is missing (${own}); add it` }];
  if (issue.code === 'too_small' && Array.isArray(issue.input))
    return [{ path, message: 'is empty; put something into it' }];
  const types = generic || own === 'Invalid input' ? expectedTypes(issue) : [];
  const message = types.length > 0 ? `must be ${types.join(' or ')}, and is ${typeWord(issue.input)}` : own;
  return [{ path, message: message.includes(';') ? message : `${message}; ${meantInstead(issue)}` }];
}

/** Of a closed list of words, the one that the user may have meant. */
function meantInstead(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_value' || typeof issue.input !== 'string') return 'change it';
  const alias = issue.path.at(-1) === 'provider' ? providerMeantBy(issue.input) : undefined;
  const words = issue.values.filter((value) => typeof value === 'string');
  const guess = alias ?? nearest(issue.input, words);
  return guess === undefined ? 'change it' : `did you mean ${guess}?`;
}

/** The schema's types, and JSON's, as people call them. */
const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping of keys to values',
  record: 'a mapping of names to values',
};

/** What a value may be, where its type is wrong; of a union, what each of its forms may be. */
function expectedTypes(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'invalid_type') return [TYPE_WORDS[issue.expected] ?? issue.expected];
  if (issue.code !== 'invalid_union') return [];
  const ofForms = issue.errors.flat().filter(({ path }) => path.length === 0);
  return [...new Set(ofForms.flatMap(expectedTypes))];
}

function typeWord(value: unknown): string {
  if (value === null) return 'empty';
  return TYPE_WORDS[Array.isArray(value) ? 'array' : typeof value] ?? typeof value;
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
    const inner =
      innerType ??
      options?.find((option) => (option as { shape?: object }).shape !== undefined) ??
      options?.find((option) => definitionOf(option).element !== undefined);
    if (inner === undefined) return current;
    current = inner;
  }
}

function child(schema: unknown, part: string | number): unknown {
  const { element, valueType } = definitionOf(schema);
  return (schema as { shape?: Record<string, unknown> } | undefined)?.shape?.[part] ?? element ?? valueType;
}
