/** The version of this package, and where it lies. */
import { readFileSync } from 'node:fs';

/**
 * The folder of the program: src/, or dist/ in the package. Files that lie beside the program are found from here only: in
 * the package several modules are one file, so that no module lies where its source does.
 */
export const PROGRAM = new URL('.', import.meta.url);

const manifest = JSON.parse(readFileSync(new URL('../package.json', PROGRAM), 'utf8')) as {
  version: string;
};
export const VERSION = manifest.version;
