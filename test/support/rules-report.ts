/** `npm run rules`: lists the rules of docs/security-rules.md that no test names by id. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { idsOfTests, ruleIds } from './rules.ts';

const tests = new URL('..', import.meta.url).pathname;

const named = new Set(
  readdirSync(tests, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .flatMap((file) => idsOfTests(readFileSync(join(tests, file), 'utf8'))),
);
const all = ruleIds();
const without = all.filter((id) => !named.has(id));
console.log(`${all.length - without.length} of ${all.length} rules have a test that carries their id`);
console.log(`none yet: ${without.join(' ') || '-'}`);
