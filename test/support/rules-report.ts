/**
 * `npm run rules`: which rules have a test that carries their id, and which have none. The rules are read from
 * the file that SALLYPORT_RULES names, or from ../shared/SECURITY-RULES.md; without one it counts the ids that
 * tests carry.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const tests = new URL('..', import.meta.url).pathname;
const ID = /\b[JKBIDMVHFAC]\d{1,2}\b/g;

const named = new Map<string, string[]>();
for (const file of readdirSync(tests, { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.test.ts')) continue;
  const text = readFileSync(join(tests, file), 'utf8');
  // Names of tests and of table rows: strings that begin with ids.
  for (const [, ids = ''] of text.matchAll(/['"`]((?:[JKBIDMVHFAC]\d{1,2} )+)/g)) {
    for (const [id] of ids.matchAll(ID)) named.set(id, [...(named.get(id) ?? []), file]);
  }
}

const rules =
  process.env['SALLYPORT_RULES'] ?? new URL('../../../shared/SECURITY-RULES.md', import.meta.url).pathname;
if (!existsSync(rules)) {
  console.log(`${named.size} rule ids are carried by tests: ${[...named.keys()].sort().join(' ')}`);
} else {
  const all = [...new Set(readFileSync(rules, 'utf8').match(ID))].sort(
    (a, b) => a.charCodeAt(0) - b.charCodeAt(0) || Number(a.slice(1)) - Number(b.slice(1)),
  );
  const without = all.filter((id) => !named.has(id));
  console.log(`${all.length - without.length} of ${all.length} rules have a test that carries their id`);
  console.log(`none yet: ${without.join(' ')}`);
}
