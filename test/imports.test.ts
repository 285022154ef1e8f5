/** Who may import whom, read from the imports themselves. */
import t from 'tap';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const source = new URL('../src/', import.meta.url).pathname;
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

interface Import {
  readonly from: string;
  /** A path within src, or a package. */
  readonly of: string;
  readonly typeOnly: boolean;
}

const imports: Import[] = files.flatMap((from) => {
  const text = readFileSync(join(source, from), 'utf8');
  return [...text.matchAll(/^(?:import|export) (type )?[^;]*?from '([^']+)';$/gms)].map(
    ([, type, of = '']) => ({
      from,
      of: of.startsWith('.') ? normalize(join(dirname(from), of)) : of,
      typeOnly: type !== undefined,
    }),
  );
});

/** A folder of src, or a file at its root. */
const room = (file: string): string => file.split('/')[0] ?? '';

/**
 * The rooms of src from the top floor down. A new room gets its floor here, in the same commit, and its line in
 * docs/architecture.md.
 */
const FLOORS = [
  ['main.ts'],
  ['cli'],
  ['explain', 'rehearsal'],
  ['workers'],
  ['assembly'],
  ['admin', 'handlers'],
  ['gateway.ts', 'upstream'],
  ['telemetry'],
  ['stages'],
  ['config'],
  ['policy.ts'],
  ['identity', 'api-keys', 'signals', 'status-lists'],
  ['token'],
  ['replay', 'limits'],
  ['revocation'],
  ['server'],
  ['dns', 'http', 'tls'],
  ['auth-errors.ts'],
  ['errors.ts', 'clock.ts', 'maybe-promise.ts', 'gc.ts', 'version.ts'],
];
const floorOf = new Map(FLOORS.flatMap((rooms, floor) => rooms.map((name) => [name, floor] as const)));
const offenders = (wrong: (each: Import) => boolean): string[] =>
  imports.filter(wrong).map(({ from, of }) => `${from} imports ${of}`);

t.test('there are files to look at', async (t) => {
  t.ok(files.length > 60);
  t.ok(imports.length > 200);
});

t.test('a package that does outside work is imported in one place only', async (t) => {
  const homes: Record<string, RegExp> = {
    ioredis: /^revocation\/redis-connection\.ts$/,
    '@prometheus-io/client': /^telemetry\/metrics\.ts$/,
    '@opentelemetry/api': /^telemetry\/(?:spans|otlp-metrics)\.ts$/,
    '@bufbuild/protobuf': /^$/,
    '@bufbuild/protobuf/wire': /^http\/protobuf\.ts$/,
    undici: /^(?:token\/authorization-server-client|cli\/admin-client)\.ts$/,
    'node:sqlite': /^revocation\/sqlite-database\.ts$/,
    'lru-cache': /^token\/token-caches\.ts$/,
    zod: /^(?:config|admin)\//,
    yaml: /^config\//,
    'oidc-provider': /^$/,
  };
  t.strictSame(
    offenders(({ from, of }) => homes[of] !== undefined && !homes[of].test(from)),
    [],
  );
});

t.test('http/ and stages/ import nothing of Node but crypto', async (t) => {
  const pure = /^(?:http|stages)\//;
  t.strictSame(
    offenders(
      ({ from, of, typeOnly }) =>
        pure.test(from) && of.startsWith('node:') && of !== 'node:crypto' && !typeOnly,
    ),
    [],
  );
});

t.test('stages do not import each other’s code', async (t) => {
  t.strictSame(
    offenders(({ from, of, typeOnly }) => room(from) === 'stages' && room(of) === 'stages' && !typeOnly),
    [],
  );
});

t.test('a file imports from its own room or from a room below', async (t) => {
  t.strictSame(
    files.map(room).filter((name) => !floorOf.has(name)),
    [],
    'each room has its floor',
  );
  t.strictSame(
    [...floorOf.keys()].filter((name) => !files.some((file) => room(file) === name)),
    [],
    'each floor has its rooms',
  );
  t.strictSame(
    offenders(({ from, of }) => {
      const [above, below] = [floorOf.get(room(from)), floorOf.get(room(of))];
      return room(from) !== room(of) && above !== undefined && below !== undefined && above >= below;
    }),
    [],
  );
});

t.test('the package of the identity reader imports nothing, and src imports nothing of it', async (t) => {
  const own = new URL('../packages/identity/src/', import.meta.url).pathname;
  const texts = readdirSync(own, { recursive: true, encoding: 'utf8' }).map((file) =>
    readFileSync(join(own, file), 'utf8'),
  );
  t.ok(texts.length > 0);
  for (const text of texts) t.notMatch(text, /^(?:import|export)\b[^;]*?\bfrom\b|\bimport\(|\brequire\(/m);
  t.strictSame(
    offenders(({ of }) => of.includes('packages/')),
    [],
  );
});

t.test('docs/architecture.md names each room', async (t) => {
  const architecture = readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8');
  const rows = [...architecture.matchAll(/^\| \d+ \| (.*?) \|/gm)].map(([, rooms = '']) =>
    [...rooms.matchAll(/`([^`/]+)\/?`/g)].map(([, name = '']) => name),
  );
  t.strictSame(rows, FLOORS);
});

/** What code that decides may do with the exchange record: declare it, take notes, and hand it on whole. */
const NOTES = [
  /\bexchange: Exchange\b/g,
  /(?:\bthis\.)?\bexchange = (?:\w+\.)*observer\.begin\(/g,
  /\bthis\.#exchange = exchange;/g,
  /\{ exchange(?:, \w+)* \} = this;/g,
  // exchange.enter('authorize'), exchange.status = 101, exchange.bytesOut += 7
  /(?<!= )(?:\bthis\.)?#?\bexchange\.(?:\w+\(|\w+ (?:\+|\?\?)?= )/g,
  /\bobserver\.\w+\((?:this\.)?exchange\b/g,
  /\bgateway\.\w+\(head, this, this\.exchange\)/g,
  /\bthis\.(?:permit|#\w+)\((?:\w+(?:\.\w+)?, )+exchange\)/g,
  /\bnew ResponseWriter\([^()]*\bthis\.exchange,?\s*\)/g,
];

t.test('the exchange record is read by telemetry only', async (t) => {
  const deciding = files.filter((file) =>
    /^(?:gateway\.ts|(?:handlers|admin|upstream|stages|identity|revocation|server|http)\/)/.test(file),
  );
  const notesOn = (file: string): { readonly text: string; readonly rest: string } => {
    const text = readFileSync(join(source, file), 'utf8')
      .replace(/\/\*\*.*?\*\/|\/\/.*?$/gms, '')
      .replace(/^import [^;]*;$/gm, '');
    return { text, rest: NOTES.reduce((rest, note) => rest.replace(note, ''), text) };
  };
  t.ok(deciding.filter((file) => /\bexchange\.enter\(/.test(notesOn(file).text)).length > 0, 'it is written');
  t.strictSame(
    deciding.flatMap((file) =>
      [...notesOn(file).rest.matchAll(/^.*\bexchange\b.*$/gim)].map(([line]) => `${file}: ${line.trim()}`),
    ),
    [],
    'no read of the record',
  );
  t.strictSame(
    deciding.flatMap((file) =>
      [...notesOn(file).text.matchAll(/\bobserver\.(\w+)(?!\w*\()/g)].map(([read]) => `${file}: ${read}`),
    ),
    [],
    'no read of the observer',
  );
});

t.test('process is for main, cli and config/load', async (t) => {
  const users = files.filter((file) =>
    /\bprocess\.[a-z]/.test(readFileSync(join(source, file), 'utf8').replace(/^ *\*.*$|\/\/.*$/gm, '')),
  );
  t.strictSame(
    users.filter((file) => !/^(?:main\.ts|cli\/|config\/load\.ts)/.test(file)),
    [],
  );
});
