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

const room = (file: string): string => (file.includes('/') ? (file.split('/')[0] ?? '') : '');
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
    jose: /^token\//,
    '@opentelemetry/api': /^telemetry\/spans\.ts$/,
    undici: /^(?:token\/authority-fetch|cli\/admin-client)\.ts$/,
    'node:sqlite': /^revocation\/sqlite-store\.ts$/,
    'lru-cache': /^token\/token-caches\.ts$/,
    zod: /^(?:config|admin)\//,
    yaml: /^config\//,
    'oidc-provider': /^demo\//,
  };
  t.strictSame(
    offenders(({ from, of }) => homes[of] !== undefined && !homes[of].test(from)),
    [],
  );
});

t.test('http/ and the pure stages import nothing of Node but crypto', async (t) => {
  const pure =
    /^(?:http\/|stages\/(?:match-route|extract-token|verify-token|check-revocation|authorize|vouch|rewrite-headers)\.ts$)/;
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

t.test('the pipeline and its stages know interfaces, never adapters', async (t) => {
  const adapters =
    /^(?:admin\/|cli\/|demo\/|revocation\/(?:memory|sqlite|redis)-|upstream\/(?:upstream-connection|upgrade)|token\/(?:remote-key-set|introspection-call|validation-call|authority-fetch|accepted-issuers)|assemble|generation|adapters|issuers|opaque-issuers)/;
  t.strictSame(
    offenders(
      ({ from, of }) =>
        (room(from) === 'stages' || from === 'gateway.ts' || room(from) === 'http') && adapters.test(of),
    ),
    [],
  );
});

t.test(
  'adapters are constructed in assemble, generation, adapters and the two files of issuers only',
  async (t) => {
    const adapters =
      /^(?:revocation\/(?:memory|sqlite|redis)-store|upstream\/http1-forwarder|token\/(?:remote-key-set|introspection-call|validation-call|assertion-signer))\.ts$/;
    t.strictSame(
      offenders(
        ({ from, of, typeOnly }) =>
          adapters.test(of) &&
          !typeOnly &&
          !/^(?:assemble|generation|adapters|issuers|opaque-issuers)\.ts$/.test(from),
      ),
      [],
    );
  },
);

t.test('process is for main, cli, the demo and config/load', async (t) => {
  const users = files.filter((file) =>
    /\bprocess\.[a-z]/.test(readFileSync(join(source, file), 'utf8').replace(/^ *\*.*$|\/\/.*$/gm, '')),
  );
  t.strictSame(
    users.filter((file) => !/^(?:main\.ts|cli\/|demo\/|config\/load\.ts)/.test(file)),
    [],
  );
});
