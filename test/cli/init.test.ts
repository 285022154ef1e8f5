/** `sallyport init`: what it writes, what it leaves alone, and that its next commands work as it prints them. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { programText, quoted } from '../../src/cli/program-text.ts';
import { configurationJsonSchema } from '../../src/config/schema.ts';
import { sallyport } from '../support/command.ts';
import { until } from '../support/gateway.ts';
import { sallyportProcess, temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';

const FILES = ['.gitignore', 'sallyport-admin-token', 'sallyport-log-key', 'sallyport.yaml', 'schema.json'];
const modeOf = (file: string): number => statSync(file).mode & 0o777;
const contents = (folder: string): string[] => FILES.map((name) => readFileSync(join(folder, name), 'utf8'));

t.test('it writes a folder whose configuration is valid, without a warning', async (t) => {
  const folder = join(temporaryFolder(t), 'a', 'gateway');
  t.match(await sallyport(['init', folder]), { code: 0, err: '' });
  t.strictSame(readdirSync(folder).sort(), FILES);
  for (const secret of ['sallyport-admin-token', 'sallyport-log-key']) {
    t.equal(modeOf(join(folder, secret)), 0o600);
    t.match(readFileSync(join(folder, secret), 'utf8'), /^[\w-]{43}\n$/);
  }
  t.equal(readFileSync(join(folder, '.gitignore'), 'utf8'), '/sallyport-admin-token\n/sallyport-log-key\n');
  const text = readFileSync(join(folder, 'sallyport.yaml'), 'utf8');
  t.match(text, /^# yaml-language-server: \$schema=\.\/schema\.json\n/);
  t.match(parse(text), {
    log_key_file: 'sallyport-log-key',
    admin: { host: '127.0.0.1', token_file: 'sallyport-admin-token' },
  });
  const schema = readFileSync(join(folder, 'schema.json'), 'utf8');
  t.strictSame(JSON.parse(schema), JSON.parse(JSON.stringify(configurationJsonSchema())));
  t.equal(schema, (await sallyport(['schema'])).out);
  const file = join(folder, 'sallyport.yaml');
  t.match(await sallyport(['check', '--strict', '-c', file]), { code: 0, err: '' });
});

t.test('its route takes DPoP once two lines are no comments', async (t) => {
  const folder = temporaryFolder(t);
  await sallyport(['init', folder]);
  const file = join(folder, 'sallyport.yaml');
  const text = readFileSync(file, 'utf8');
  const changed = text.replaceAll(/^( +)# (?=(?:public_url|sender_constrained): )/gm, '$1');
  t.match(parse(changed), {
    routes: [{ public_url: 'https://api.example.com', auth: { sender_constrained: 'optional' } }],
  });
  writeFileSync(file, changed);
  t.match(await sallyport(['check', '--strict', '-c', file]), { code: 0, err: '' });
});

t.test('two folders have different secrets', async (t) => {
  const folders = [join(temporaryFolder(t), 'one'), join(temporaryFolder(t), 'two')];
  for (const folder of folders) await sallyport(['init', folder]);
  const [one = [], two = []] = folders.map(contents);
  t.not(one[1], two[1]);
  t.not(one[2], two[2]);
});

t.test('it overwrites nothing, and says what is there', async (t) => {
  const folder = temporaryFolder(t);
  t.match(await sallyportProcess(['init'], { cwd: folder }), { code: 0 }, 'here, without a name');
  const before = contents(folder);
  t.match(await sallyportProcess(['init'], { cwd: folder }), {
    code: 1,
    err: /sallyport\.yaml exists already/,
  });
  t.strictSame(contents(folder), before);

  const other = temporaryFolder(t);
  writeFileSync(join(other, 'sallyport-admin-token'), 'a token of long ago, which tools have\n');
  writeFileSync(join(other, 'schema.json'), '{}');
  writeFileSync(join(other, '.gitignore'), 'node_modules\n/sallyport-log-key\n');
  const { code, out } = await sallyport(['init', other]);
  t.equal(code, 0);
  t.match(out, /^kept +\S+sallyport-admin-token, which exists already/m);
  t.match(out, /^kept +\S+schema\.json, which is not of this version: .* schema > \S+schema\.json$/m);
  t.match(out, /^wrote +\S+sallyport-log-key/m);
  t.match(out, /^kept +\S+\.gitignore, which does not name the secrets: add \/sallyport-admin-token$/m);
  t.match(contents(other)[1], 'a token of long ago');
  t.equal(contents(other)[4], '{}');
});

t.test('a name that ends in .yaml is that of the configuration, unless it is a folder', async (t) => {
  const folder = temporaryFolder(t);
  t.match(await sallyport(['init', join(folder, 'edge.yaml')]), { code: 0 });
  t.ok(readdirSync(folder).includes('edge.yaml'));
  t.notOk(readdirSync(folder).includes('sallyport.yaml'));
  mkdirSync(join(folder, 'old.yaml'));
  t.match(await sallyport(['init', join(folder, 'old.yaml')]), { code: 0 });
  t.strictSame(readdirSync(join(folder, 'old.yaml')).sort(), FILES);
  writeFileSync(join(folder, 'file'), '');
  t.match(await sallyport(['init', join(folder, 'file', 'below')]), {
    code: 1,
    err: /cannot be made \(ENOTDIR\)/,
  });
});

/** Runs a command line of a shell in a folder, as it was printed. */
function shell(t: Test, command: string, cwd: string, env: NodeJS.ProcessEnv) {
  const child = spawn('sh', ['-c', `exec ${command}`], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const output of [child.stdout, child.stderr])
    output.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { exited, printed: () => printed, stop: () => child.kill('SIGTERM') };
}

t.test('the three commands that it prints work, one after the other', async (t) => {
  const folder = temporaryFolder(t);
  const { out } = await sallyportProcess(['init', "it's here"], { cwd: folder });
  const [check = '', run = '', curl = ''] = out
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => line.trim());
  t.match([check, run, curl], [/ check -c /, / run -c /, /^curl /]);
  // As printed, but for the ports, which others may use on this machine, and an issuer of this machine.
  const file = join(folder, "it's here", 'sallyport.yaml');
  const [port, adminPort] = [String(await freePort()), String(await freePort())];
  const starter = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    starter.replace('port: 8080', `port: ${port}`).replace('port: 9090', `port: ${adminPort}`),
  );
  const env = { PATH: `${dirname(process.execPath)}:${process.env['PATH']}`, ISSUER: 'http://127.0.0.1:1' };
  const checked = shell(t, check, folder, env);
  t.equal(await checked.exited, 0, checked.printed());
  const gateway = shell(t, run, folder, env);
  let ended = false;
  void gateway.exited.then(() => (ended = true));
  await until(() => ended || gateway.printed().includes('"msg":"ready"'));
  t.match(gateway.printed(), '"msg":"ready"');
  t.match(out, /http:\/\/127\.0\.0\.1:9090\/; sign in with what is in .*sallyport-admin-token/);
  const token = readFileSync(join(folder, "it's here", 'sallyport-admin-token'), 'utf8').trim();
  const headers = { authorization: `Bearer ${token}` };
  t.equal((await fetch(`http://127.0.0.1:${adminPort}/v1/status`, { headers })).status, 200);
  const shown = shell(t, curl.replace(':8080', `:${port}`), folder, env);
  if ((await exists('curl')) && (await shown.exited) === 0)
    t.match(shown.printed(), /^HTTP\/1\.1 401 [^]*www-authenticate: Bearer realm="api\.example\.com"/im);
  else t.comment('curl is not on this machine');
  gateway.stop();
  t.equal(await gateway.exited, 0);
});

async function exists(program: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  execFile(program, ['--version'], (error) => resolve(error === null));
  return promise;
}

t.test('commands are printed as the program was called', async (t) => {
  const here = process.cwd();
  const bin = join(here, 'node_modules/.bin');
  const cases: readonly [script: string, environment: Record<string, string>, text: string][] = [
    ['/usr/local/bin/sallyport', { PATH: '/usr/bin:/usr/local/bin/' }, 'sallyport'],
    [
      '/opt/sallyport/node_modules/.bin/sallyport',
      { PATH: '/usr/bin' },
      '/opt/sallyport/node_modules/.bin/sallyport',
    ],
    [join(bin, 'sallyport'), { PATH: '/usr/bin' }, 'node_modules/.bin/sallyport'],
    [join(bin, 'sallyport'), { PATH: bin, npm_command: 'exec' }, 'node_modules/.bin/sallyport'],
    [join(here, 'src/main.ts'), {}, 'node src/main.ts'],
    [join(here, 'src/main.ts'), { npm_command: 'exec' }, 'npx node src/main.ts'],
    ['/a b/main.js', {}, "node '/a b/main.js'"],
  ];
  for (const [script, environment, text] of cases) t.equal(programText(script, environment), text);
  t.equal(quoted("it's"), "'it'\\''s'");
});
