/** Reads the JSON files that a configuration names. */
import { readFileSync } from 'node:fs';

/**
 * @param wanted what belongs in the file, as the subject of "put … there"
 * @throws TypeError that says what is wrong and what to do
 */
export function parseJson(file: string, wanted: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new TypeError(
      `${file} cannot be read (${(error as NodeJS.ErrnoException).code}); create it, or fix its name or permissions`,
      { cause: error },
    );
  }
  try {
    // Some editors begin a file with a byte order mark (RFC 8259 section 8.1).
    return JSON.parse(text.replace(/^\ufeff/, '')) as unknown;
  } catch {
    throw new TypeError(`${file} is no JSON; put ${wanted} there`);
  }
}
