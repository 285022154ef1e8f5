/** Test vectors of other projects. They are not part of the repository; they are read from a folder beside it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder =
  process.env['SALLYPORT_VECTORS'] ?? new URL('../../../shared/vectors', import.meta.url).pathname;

/**
 * For a test's options: false, or why it is skipped. The vectors are those of Wycheproof (C2SP/wycheproof, folder
 * wycheproof), of the JOSE cookbook (ietf-jose/cookbook, folder jose-cookbook) and of JSONTestSuite (nst/JSONTestSuite, as
 * jsontestsuite/cases.json).
 */
export const vectorsMissing: string | false = existsSync(folder)
  ? false
  : `no test vectors in ${folder}: get C2SP/wycheproof, ietf-jose/cookbook and nst/JSONTestSuite, and set SALLYPORT_VECTORS`;

export function readVectors<T>(file: string): T {
  return JSON.parse(readFileSync(join(folder, file), 'utf8')) as T;
}

/** The paths of the JSON files in a folder of the vectors. */
export function vectorFiles(name: string): string[] {
  return readdirSync(join(folder, name))
    .filter((file) => file.endsWith('.json'))
    .map((file) => `${name}/${file}`);
}
