/** What is wrong within a value that may have several forms: told at its place, where its form is known. Pure. */
import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

/** The value is of another form altogether. */
const OTHER_FORM: ReadonlySet<Issue['code']> = new Set(['invalid_type', 'invalid_value', 'invalid_union']);

/** The issues within the one form that was meant; the issue itself where none or several may have been. */
export function withinForm(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union' || issue.input === undefined) return [issue];
  const [meant, ...others] = issue.errors.filter(
    (found) => !found.some(({ code, path }) => path.length === 0 && OTHER_FORM.has(code)),
  );
  if (meant === undefined || others.length > 0) return [issue];
  const within = meant
    .map((found): Issue => ({ ...found, path: [...issue.path, ...found.path] }))
    .flatMap(withinForm);
  return within.every(saysMore) ? within : [issue];
}

/** A form without a message of its own would say less than the whole. */
function saysMore({ code, message }: Issue): boolean {
  return code !== 'invalid_union' || message !== 'Invalid input';
}
