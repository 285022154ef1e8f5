/** Which files a configuration names. Pure. */
import { resolve } from 'node:path';

/**
 * The value of every key that ends in `_file`, as absolute paths.
 *
 * @param configuration any document, valid or not
 * @param folder that relative names resolve from
 */
export function namedFiles(configuration: unknown, folder: string): string[] {
  if (typeof configuration !== 'object' || configuration === null) return [];
  return Object.entries(configuration).flatMap(([key, member]: [string, unknown]) =>
    key.endsWith('_file') && typeof member === 'string'
      ? [resolve(folder, member)]
      : namedFiles(member, folder),
  );
}
