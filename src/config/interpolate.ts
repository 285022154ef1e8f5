/**
 * `${VAR}` and `${VAR:-default}` inside scalar values, resolved after parsing, so that a variable can never
 * change the structure of the file. `$${` stands for a literal `${`. Pure.
 */
import { visit, type Document, type Scalar } from 'yaml';

export interface InterpolationProblem {
  readonly offset: number;
  readonly message: string;
}

/** One that nothing closes matches too, up to the end: it is a mistake, and no text. */
const REFERENCE = /\$(\$\{)|\$\{([^}]*)(?:\}|$)/g;
const NAME = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

export interface Interpolation {
  readonly problems: readonly InterpolationProblem[];
  /** The plain (unquoted) scalars that held a reference: their text may stand for a number or a boolean. */
  readonly plainScalars: ReadonlySet<Scalar>;
}

/** Resolves every reference in place; returns what could not be resolved, with the offset in the source. */
export function interpolate(
  document: Document,
  environment: Readonly<Record<string, string | undefined>>,
): Interpolation {
  const problems: InterpolationProblem[] = [];
  const plainScalars = new Set<Scalar>();
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('${')) return;
      const offset = node.range?.[0] ?? 0;
      node.value = node.value.replace(
        REFERENCE,
        (whole, escaped: string | undefined, inner: string | undefined) => {
          if (escaped !== undefined) return escaped;
          const [, variable, fallback] = (whole.endsWith('}') && NAME.exec(inner ?? '')) || [];
          if (variable === undefined) {
            problems.push({
              offset,
              message: `"${whole}" is no variable reference; write \${NAME} or \${NAME:-default}, or $\${ for a literal \${`,
            });
            return '';
          }
          const found = environment[variable];
          if (fallback !== undefined) return found === undefined || found === '' ? fallback : found;
          if (found === undefined) {
            problems.push({
              offset,
              message: `the environment variable ${variable} is not set; set it, or write \${${variable}:-default}`,
            });
          }
          return found ?? '';
        },
      );
      if (node.type === 'PLAIN') plainScalars.add(node);
    },
  });
  return { problems, plainScalars };
}

/** What the text of an interpolated plain scalar is worth where a number or a boolean is asked for. */
export function retype(value: string): string | number | boolean {
  if (/^-?\d{1,15}$/.test(value)) return Number(value);
  if (value === 'true') return true;
  if (value === 'false') return false;
  return value;
}
