/**
 * `npm run build`: the program as its package has it, in dist/. Its modules, and the packages that it needs whatever the
 * configuration is, are put together into a few files, since looking for a thousand files was half of a start
 * (docs/decisions/start-and-rest.md). What a command or a configuration may not need stays in a file of its own, or in its
 * package. Nothing is made short or renamed: a stack trace leads to the text, below the name of its source file.
 */
import { build, type Metafile, type Plugin } from 'esbuild';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const OUT = 'dist';

/** Loaded from their packages by those who need them. */
const APART = ['ioredis', 'undici', 'pino-pretty'];

/** Packages that are made for `require`, and files that find what lies beside them. */
const REQUIRE = `import { createRequire as requireOf } from 'node:module';
const require = requireOf(import.meta.url);`;

/**
 * An import of node:http reads all that it exports, and one of these names loads Node's own fetch, which is not used here.
 * Who requires it gets the names that it uses.
 */
const namesOfHttp: Plugin = {
  name: 'names of node:http',
  setup(made) {
    made.onResolve({ filter: /^node:http$/ }, ({ kind }) =>
      kind === 'import-statement' ? { path: 'node:http', namespace: 'required' } : undefined,
    );
    made.onLoad({ filter: /.*/, namespace: 'required' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/** Zod in one object has its messages in fifty languages; names that are imported one by one leave out the rest. */
const namesOfZod: Plugin = {
  name: 'names of zod',
  setup(made) {
    made.onLoad({ filter: /\/src\/(?:config|admin)\/[^/]+\.ts$/ }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8').replace("import { z } from 'zod';", "import * as z from 'zod';"),
    }));
  },
};

/** Of a package, in the path of one of its files. */
const FOLDER = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;
/** Where a package has no file with its licence, each of its files begins with it. */
const FIRST_COMMENT = /^(?:\/\/.*\n)+/;

rmSync(OUT, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: ['src/main.ts'],
  outdir: OUT,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  external: APART,
  banner: { js: REQUIRE },
  plugins: [namesOfHttp, namesOfZod],
  metafile: true,
  logLevel: 'warning',
});
for (const file of readdirSync(OUT))
  writeFileSync(join(OUT, file), ascii(file, readFileSync(join(OUT, file), 'utf8')));
writeFileSync(join(OUT, 'LICENSES.txt'), licenses(metafile));
cpSync('src/admin/page', join(OUT, 'admin/page'), { recursive: true });

/**
 * One character beyond ASCII, and Node keeps a file with two bytes for each character. esbuild leaves them in comments only.
 *
 * @throws Error where one is elsewhere
 */
function ascii(file: string, text: string): string {
  return text.replace(/^.*[^\0-\x7f].*$/gm, (line) => {
    if (!/^\s*(?:\/\/|\/?\*)/.test(line)) throw new Error(`${file} has more than ASCII in its code: ${line}`);
    return line.replace(/[^\0-\x7f]/g, '?');
  });
}

/** Of the packages whose code is in the bundle: their licences ask for it. */
function licenses({ inputs }: Metafile): string {
  const files = Map.groupBy(Object.keys(inputs), (file) => FOLDER.exec(file)?.[0] ?? '');
  files.delete('');
  return [...files]
    .sort()
    .map(([folder, bundled]) => licenseOf(folder, bundled))
    .join(`\n${'='.repeat(80)}\n\n`);
}

function licenseOf(folder: string, bundled: readonly string[]): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
    'name' | 'version' | 'license',
    string
  >;
  const files = readdirSync(folder).filter((file) => /^(?:licen[cs]e|notice)/i.test(file));
  const texts =
    files.length > 0
      ? files.map((file) => readFileSync(join(folder, file), 'utf8').trim())
      : [...new Set(bundled.map((file) => FIRST_COMMENT.exec(readFileSync(file, 'utf8'))?.[0].trim() ?? ''))];
  if (texts.join('') === '') throw new Error(`${folder} says nowhere what its licence is`);
  return `${name} ${version} (${license})\n\n${texts.join('\n\n')}\n`;
}
