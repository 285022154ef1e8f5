/** The ids of the rule book, docs/security-rules.md, and the citations of them. */
import { readFileSync } from 'node:fs';

const RULE_BOOK = new URL('../../docs/security-rules.md', import.meta.url);

/** The ids of the rule book in its order: the first column of its tables. */
export function ruleIds(): string[] {
  return [...readFileSync(RULE_BOOK, 'utf8').matchAll(/^\| ([A-Z]\d{1,2}) \|/gm)].map(([, id = '']) => id);
}

const ID = /\b[JKBIDMPVHFACG]\d{1,2}\b/g;

/**
 * The ids that a source file cites: after "Rule", "Rules" or "rule" in its comments, and at the start of the name of a
 * test or of a row of a table.
 */
export function citedIds(text: string): string[] {
  const inComments = [
    ...text.matchAll(/\b[Rr]ules?[ \n*/]+((?:[A-Z]\d{1,2}(?:,? and |, | to |[ \n*/]+)?)+)/g),
  ];
  const inNames = [...text.matchAll(/['"`]((?:[JKBIDMPVHFACG]\d{1,2} )+)/g)];
  return [...inComments, ...inNames].flatMap(([, ids = '']) => ids.match(ID) ?? []);
}

/** The ids at the start of the names of tests and of rows of tables. */
export function idsOfTests(text: string): string[] {
  return [...text.matchAll(/['"`]((?:[JKBIDMPVHFACG]\d{1,2} )+)/g)].flatMap(
    ([, ids = '']) => ids.match(ID) ?? [],
  );
}
