/** What the README shows is so: its commands are run, its story is the demo's, its pictures are current. */
import t from 'tap';
import { execFile, spawn } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, delimiter, join } from 'node:path';
import type { Test } from 'tap';
import { parse } from 'yaml';
import { startServers } from '../demo/servers.ts';
import { storySteps } from '../demo/steps.ts';
import { requestWay, THEMES } from '../docs/images/request-way.ts';
import { parseConfiguration } from '../src/config/load.ts';
import { sallyport } from './support/command.ts';
import { ADMIN_TOKEN } from './support/gateway.ts';
import { temporaryFolder } from './support/process.ts';

const root = new URL('..', import.meta.url).pathname;
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** The blocks of a document in one language, without the indentation that they have within a list. */
const blocksOf = (file: string, language: string): string[] =>
  [...read(file).matchAll(new RegExp(`^( *)\`\`\`${language}\\n([^]*?)^ *\`\`\``, 'gm'))].map(
    ([, indentation = '', text = '']) => text.replaceAll(new RegExp(`^${indentation}`, 'gm'), ''),
  );
const blocks = (language: string): string[] => blocksOf('README.md', language);

/** Where the demo's parts are for a reader. */
const USUAL = {
  gateway: 'http://127.0.0.1:8080',
  admin: 'http://127.0.0.1:9090',
  issuer: { url: 'http://127.0.0.1:4000' },
  factory: { url: 'http://127.0.0.1:3000' },
};

interface Command {
  readonly command: string;
  /** Lines of what it prints. */
  readonly expected: readonly string[];
}

function commandsIn(transcripts: readonly string[]): Command[] {
  return transcripts.flatMap((text) =>
    text
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [command = '', ...expected] = part.trimEnd().split('\n');
        return { command, expected: expected.filter((line) => line.trim() !== '') };
      }),
  );
}

/** A line as a document shows it: … stands for anything, and any white space for white space. */
function lineLike(line: string): RegExp {
  const literal = (text: string): string =>
    text
      .split(/\s+/)
      .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('\\s+');
  return new RegExp(`^\\s*${line.trim().split('…').map(literal).join('.*')}\\s*$`, 'm');
}

/** Runs commands one after the other in one shell, as a reader does. @returns what each printed */
async function runAll(
  commands: readonly string[],
  environment: Readonly<Record<string, string>>,
  cwd: string,
): Promise<string[]> {
  const mark = '=== the next command ===';
  // npx finds the node of the project; so does this.
  const script = [
    'npx() { shift; node "$@"; }',
    ...commands.flatMap((each) => [each, `echo; echo '${mark}'`]),
  ];
  const { promise, resolve } = Promise.withResolvers<string>();
  const env = {
    ...process.env,
    NO_COLOR: '1',
    PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
    ...environment,
  };
  execFile('bash', ['-c', script.join('\n')], { env, cwd }, (_, stdout) => resolve(stdout));
  return (await promise).split(mark);
}

async function hasCurl(): Promise<boolean> {
  const child = spawn('curl', ['--version'], { stdio: 'ignore' });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  child.on('error', () => resolve(false));
  child.on('close', (code) => resolve(code === 0));
  return promise;
}

function check(t: Test, commands: readonly Command[], printed: readonly string[]): void {
  for (const [index, { command, expected }] of commands.entries())
    for (const line of expected) t.match(printed[index], lineLike(line), `${command.slice(0, 60)}: ${line}`);
}

t.test(
  'what the demo prints can be pasted into zsh, too, where ? and * outside of quotes are patterns',
  async (t) => {
    for (const command of storySteps(USUAL).flatMap(({ commands }) => commands))
      t.notMatch(command.replaceAll(/'[^']*'|"(?:\\.|[^"\\])*"/g, ''), /[?*]/, command);
  },
);

t.test('the configuration has 12 lines and is valid', async (t) => {
  const [text = ''] = blocks('yaml');
  t.equal(text.trimEnd().split('\n').length, 12);
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'sallyport-admin-token'), ADMIN_TOKEN);
  t.match(parseConfiguration(text, 'README.md', folder, {}), { routes: [{ name: 'orders' }] });
});

t.test('the two commands are those of package.json, and .ci/run uses them', async (t) => {
  const [text = ''] = blocks('sh');
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const lines = text.trim().split('\n');
  t.equal(lines.length, 2);
  for (const line of lines) {
    const [, script = ''] = /^npm ci && npm (?:run )?(\w+)/.exec(line) ?? [];
    t.ok(scripts[script], line);
  }
  t.match(read('.ci/run'), /npm ci && npm test/);
});

t.test("the story is the demo's, and each command prints what the README shows", async (t) => {
  const commands = commandsIn(blocks('console'));
  t.strictSame(
    commands.map(({ command }) => command),
    storySteps(USUAL).flatMap((step) => step.commands),
  );
  if (!(await hasCurl())) {
    t.comment('curl is not on this machine');
    return;
  }
  const servers = await startServers(false);
  t.teardown(() => servers.close());
  const printed = await runAll(
    storySteps(servers).flatMap((step) => step.commands),
    { ADMIN: servers.adminToken, DEMO: servers.folder },
    root,
  );
  const places = [
    [USUAL.gateway, servers.gateway],
    [USUAL.admin, servers.admin],
    [USUAL.issuer.url, servers.issuer.url],
    [USUAL.factory.url, servers.factory.url],
  ] as const;
  const moved = (line: string): string =>
    places.reduce(
      (all, [usual, here]) =>
        all.replaceAll(usual, here).replaceAll(usual.replace('http://', ''), here.replace('http://', '')),
      line,
    );
  t.ok(commands.flatMap(({ expected }) => expected).length > 15);
  check(
    t,
    commands.map(({ command, expected }) => ({ command, expected: expected.map(moved) })),
    printed,
  );
});

t.test('the explanation in docs/explanation is what explain prints', async (t) => {
  const commands = commandsIn(blocksOf('docs/explanation/life-of-a-request.md', 'console'));
  t.equal(commands.length, 1);
  const [, options = ''] = /^npx node src\/main\.ts (.*)/.exec(commands[0]?.command ?? '') ?? [];
  const { code, out } = await sallyport(options.split(' '));
  t.equal(code, 3);
  check(t, commands, [out]);
});

t.test('the five-minute start is what init prints', async (t) => {
  const text = blocks('sh').find((each) => each.includes('main.ts init')) ?? '';
  const commands = text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/ +# .*/, ''));
  const [install, init = '', ...next] = commands;
  t.equal(install, 'npm ci');
  t.equal(next.length, 3);
  const folder = temporaryFolder(t);
  symlinkSync(join(root, 'src'), join(folder, 'src'));
  // test/cli/init.test.ts runs the commands that are printed. npx says to a process that it is npx.
  const [printed = ''] = await runAll([init], { npm_command: 'exec' }, folder);
  t.strictSame(
    printed
      .split('\n')
      .filter((line) => line.startsWith('  '))
      .map((line) => line.trim()),
    next,
  );
});

t.test('the configurations of the explanation pages are valid', async (t) => {
  const [text = ''] = blocksOf('docs/explanation/fail-closed-and-fail-open.md', 'yaml');
  const upstreams = { shop: { targets: ['http://127.0.0.1:3000'] } };
  const issuers = { login: { issuer: 'https://login.example.com', discovery: true, audiences: ['a'] } };
  const document = { ...(parse(text) as object), issuers, upstreams };
  const configuration = parseConfiguration(JSON.stringify(document), 'page', '.', {});
  t.match(configuration, { routes: [{ when_stale: 'allow' }, { name: 'payments' }] });
});

t.test(
  'the pictures of the way of a request are current: node docs/images/request-way.ts changes nothing',
  async (t) => {
    for (const name of ['light', 'dark'] as const)
      t.equal(read(`docs/images/request-way-${name}.svg`), requestWay(THEMES[name]));
  },
);
