/** Writes a folder that the gateway runs in. Nothing that is there is overwritten. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configurationJsonSchema } from '../config/schema.ts';
import { PROGRAM } from '../version.ts';
import { CommandFailed, print, type Command } from './command.ts';
import { programText, quoted } from './program-text.ts';

const STARTER = fileURLToPath(new URL('../config/sallyport.yaml', PROGRAM));
const FILE = 'sallyport.yaml';
const SCHEMA = 'schema.json';
/** So that `git add` takes no secret. */
const IGNORED = '.gitignore';

/** The lines of the starter that name a secret, and the file beside the configuration that each names. */
const SECRET_LINES = { token: /^ *# (token_file: (\S+))/m, logKey: /^# (log_key_file: (\S+))/m };
const SECRET_BYTES = 32;
/** For its owner alone. */
const SECRET_MODE = 0o600;

export const init: Command = {
  name: 'init',
  summary: 'writes a folder to run in: configuration, its schema for editors, admin token, log key',
  usage: `[FOLDER]

  FOLDER   where to (default: here); it is made if need be. A name that ends in .yaml, .yml or .json is that of the
           configuration itself. Nothing is overwritten: secrets and a schema that are there stay, and where the
           configuration is there nothing is written`,
  options: {},
  positionals: { min: 0, max: 1 },
  async run({ positionals: [place = '.'] }) {
    const isFile = /\.(?:ya?ml|json)$/.test(place) && !isFolder(place);
    const folder = isFile ? dirname(place) : place;
    const file = join(folder, isFile ? basename(place) : FILE);
    if (existsSync(file))
      throw new CommandFailed(`${file} exists already, so nothing was written; name another folder`);
    const { text, secrets } = starter();
    makeFolder(folder);
    const lines = [
      wroteIgnored(
        join(folder, IGNORED),
        secrets.map(({ name }) => `/${name}`),
      ),
      ...secrets.map(({ name, what }) => wrote(join(folder, name), newSecret(), what, SECRET_MODE)),
      wroteSchema(join(folder, SCHEMA)),
      wrote(file, text, 'the configuration', SECRET_MODE),
    ];
    print([...lines.reverse(), '', ...nextSteps(file, join(folder, secrets[0]?.name ?? ''))].join('\n'));
    return 0;
  },
};

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

interface Secret {
  readonly name: string;
  readonly what: string;
}

/** The starter with its secrets in use, the admin token first. */
function starter(): { readonly text: string; readonly secrets: readonly Secret[] } {
  const commented = readFileSync(STARTER, 'utf8');
  const { token, logKey } = SECRET_LINES;
  const named = (pattern: RegExp): string => pattern.exec(commented)?.[2] ?? '';
  const text = [token, logKey].reduce(
    (all, pattern) => all.replace(pattern, (line) => line.replace('# ', '')),
    commented,
  );
  return {
    text,
    secrets: [
      { name: named(token), what: 'the admin token, for you alone' },
      { name: named(logKey), what: 'the key of the hashes in the log' },
    ],
  };
}

const newSecret = (): string => `${randomBytes(SECRET_BYTES).toString('base64url')}\n`;

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new CommandFailed(`the folder ${folder} cannot be made (${(error as NodeJS.ErrnoException).code})`);
  }
}

function wroteSchema(file: string): string {
  const text = `${JSON.stringify(configurationJsonSchema(), null, 2)}\n`;
  const isOther = existsSync(file) && readFileSync(file, 'utf8') !== text;
  return isOther
    ? `kept   ${file}, which is not of this version: ${programText()} schema > ${quoted(file)}`
    : wrote(file, text, 'its schema, for editors');
}

function wroteIgnored(file: string, names: readonly string[]): string {
  const known = existsSync(file) ? readFileSync(file, 'utf8').split(/\r?\n/) : names;
  const missing = names.filter((name) => !known.includes(name));
  return missing.length > 0
    ? `kept   ${file}, which does not name the secrets: add ${missing.join(' and ')}`
    : wrote(file, `${names.join('\n')}\n`, 'keeps the secrets out of Git');
}

/** Writes a new file. Says so, or that it is there already. */
function wrote(file: string, text: string, what: string, mode = 0o644): string {
  try {
    writeFileSync(file, text, { flag: 'wx', mode });
    return `wrote  ${file}: ${what}`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return `kept   ${file}, which exists already: ${what}`;
    throw new CommandFailed(`${file} cannot be written (${code})`);
  }
}

/** Commands to paste, one after the other; the last one from a second terminal. README.md shows the same. */
function nextSteps(file: string, tokenFile: string): string[] {
  const program = programText();
  const { listeners, admin } = STARTER_ADDRESSES;
  return [
    `Edit ${file}: your issuer, your routes, your upstreams. Then:`,
    '',
    `  ${program} check -c ${quoted(file)}`,
    `  ${program} run -c ${quoted(file)}`,
    `  curl -i http://${listeners}/orders`,
    '',
    `The last one, in another terminal, is refused with 401, since it has no token. The admin page is`,
    `http://${admin}/; sign in with what is in ${tokenFile}.`,
  ];
}

/** As the starter has them. */
const STARTER_ADDRESSES = { listeners: '127.0.0.1:8080', admin: '127.0.0.1:9090' };
