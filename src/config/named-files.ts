/** Which files a configuration names. Pure. */
import { resolve } from 'node:path';

/** Read when it is needed, and rotated by others: the configuration does not depend on what is in it. */
const READ_WHEN_NEEDED: readonly string[] = ['bearer_token_file'];

/** Of the files that a configuration names, those that it is loaded from. */
export function loadedFiles(configuration: unknown, folder: string): string[] {
  return filesAt(configuration, folder, (key) => !READ_WHEN_NEEDED.includes(key));
}

/**
 * The value of every key that ends in `_file`, as absolute paths.
 *
 * @param configuration any document, valid or not
 * @param folder that relative names resolve from
 */
export function namedFiles(configuration: unknown, folder: string): string[] {
  return filesAt(configuration, folder, () => true);
}

function filesAt(configuration: unknown, folder: string, counts: (key: string) => boolean): string[] {
  if (typeof configuration !== 'object' || configuration === null) return [];
  return Object.entries(configuration).flatMap(([key, member]: [string, unknown]) =>
    key.endsWith('_file') && typeof member === 'string'
      ? counts(key)
        ? [resolve(folder, member)]
        : []
      : filesAt(member, folder, counts),
  );
}
