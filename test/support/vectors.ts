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

/** The same for one file: the example of RFC 9449 (figures 8, 9, 13 and 14) is dpop/rfc9449-example.json. */
export function vectorMissing(file: string): string | false {
  return existsSync(join(folder, file)) ? false : vectorsMissing || `no ${file} in ${folder}`;
}

export function readVectors<T>(file: string): T {
  return JSON.parse(readFileSync(join(folder, file), 'utf8')) as T;
}

/** The paths of the JSON files in a folder of the vectors. */
export function vectorFiles(name: string): string[] {
  return readdirSync(join(folder, name))
    .filter((file) => file.endsWith('.json'))
    .map((file) => `${name}/${file}`);
}
