/** How this program is called in a command to paste: as it was called itself. */
import { basename, delimiter, dirname, isAbsolute, relative, resolve } from 'node:path';

/**
 * `sallyport` where it is on the PATH, else where it is: `node_modules/.bin/sallyport`. From a checkout, `node src/main.ts`,
 * with `npx` in front where npm has brought the Node that runs it.
 */
export function programText(
  script = process.argv[1] ?? '',
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const byNpm = environment['npm_command'] !== undefined;
  if (basename(script) !== 'sallyport') return `${byNpm ? 'npx ' : ''}node ${quoted(nearby(script))}`;
  const folders = (environment['PATH'] ?? '').split(delimiter);
  // npx puts the folder on the PATH of this process alone.
  const isOnPath = !byNpm && folders.some((folder) => folder !== '' && resolve(folder) === dirname(script));
  return isOnPath ? 'sallyport' : quoted(nearby(script));
}

/** The shorter way to a file: from here, or from the root. */
function nearby(file: string): string {
  const near = relative('.', file);
  if (near === '' || near.startsWith('..') || isAbsolute(near)) return file;
  return near.includes('/') ? near : `./${near}`;
}

/** As one word of a shell. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
