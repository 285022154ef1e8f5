import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommandFailed, print, type Command } from './command.ts';

const STARTER = fileURLToPath(new URL('../../config/sallyport.yaml', import.meta.url));

/** The line of the starter that names the log key, and the file beside the configuration that it names. */
const LOG_KEY_LINE = /^# (log_key_file: (\S+))/m;
const KEY_BYTES = 32;
/** For its owner alone. */
const SECRET = { flag: 'wx', mode: 0o600 };

export const init: Command = {
  name: 'init',
  summary: 'writes a commented starter configuration, and the key of the hashes in the log',
  usage: '[FILE]\n\n  FILE   where to (default: sallyport.yaml); an existing file is never overwritten',
  options: {},
  positionals: { min: 0, max: 1 },
  async run(args) {
    const [file = 'sallyport.yaml'] = args.positionals;
    if (existsSync(file)) throw new CommandFailed(`${file} exists already; name another file`);
    const starter = readFileSync(STARTER, 'utf8');
    const [line = '', setting = '', name = ''] = LOG_KEY_LINE.exec(starter) ?? [];
    const keyFile = join(dirname(file), name);
    const isNewKey = writeNew(keyFile, `${randomBytes(KEY_BYTES).toString('base64url')}\n`);
    if (!writeNew(file, starter.replace(line, setting)))
      throw new CommandFailed(`${file} exists already; name another file`);
    print(
      `wrote ${file}${isNewKey ? ` and ${keyFile}` : ''}; edit it, then: sallyport check -c ${file} && sallyport run -c ${file}`,
    );
    return 0;
  },
};

/** @returns false where the file exists: it stays as it is */
function writeNew(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, SECRET);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    throw new CommandFailed(`${file} cannot be written (${code})`);
  }
}
