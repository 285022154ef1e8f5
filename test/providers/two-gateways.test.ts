/** docs/how-to/two-gateways.md, done from top to bottom: two gateways, the demo's authorization server, one Redis. */
import t from 'tap';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { startServers } from '../../demo/servers.ts';
import { freePort, startRedis } from '../support/redis.ts';
import { temporaryFolder } from '../support/process.ts';

const root = new URL('../..', import.meta.url).pathname;
const page = readFileSync(join(root, 'docs/how-to/two-gateways.md'), 'utf8');

t.test('two gateways, one list: each command of the page, in its terminal', async (t) => {
  const servers = await startServers(false);
  t.teardown(() => servers.close());
  const redis = await startRedis(t);
  const folder = temporaryFolder(t);
  for (const name of ['src', 'node_modules', 'package.json'])
    symlinkSync(join(root, name), join(folder, name));

  // Where the parts are here.
  const places = new Map([
    ['http://127.0.0.1:4000', servers.issuer.url],
    ['http://127.0.0.1:3000', servers.factory.url],
    ['redis://127.0.0.1:6379/0', redis.url],
  ]);
  for (const usual of ['8081', '8082', '9091', '9092']) places.set(usual, String(await freePort()));
  const usual = new RegExp(`(?:${[...places.keys()].join('|')})\\b`, 'g');
  const commands = [...page.matchAll(/^```sh\n([^]*?)^```/gm)]
    .flatMap(([, text = '']) => text.trimEnd().split('\n'))
    .map((line) => line.replaceAll(usual, (found) => places.get(found) ?? found));
  const take = (start: string): string[] => {
    const found = commands.filter((line) => line.startsWith(start));
    t.ok(found.length > 0, start);
    return found;
  };

  const exported = take('export ')[0] ?? '';
  const environment = {
    ...process.env,
    NO_COLOR: '1',
    PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
  };
  const shell = async (lines: readonly string[]): Promise<string> => {
    const script = ['npx() { shift; node "$@"; }', exported, ...lines].join('\n');
    const { promise, resolve } = Promise.withResolvers<string>();
    execFile('bash', ['-c', script], { cwd: folder, env: environment }, (_, out, error) =>
      resolve(out + error),
    );
    return promise;
  };
  const copying = commands.filter((line) => /^(?:sed|cp) /.test(line));
  t.equal(copying.length, 3);
  await shell(['npx node src/main.ts init gateway', ...copying]);
  t.match(await shell([...take('npx node src/main.ts check'), 'echo "exit code $?"']), /exit code 0/);
  for (const command of take('npx node src/main.ts run')) {
    const gateway = spawn('bash', ['-c', `${exported}\n${command.replace('npx node', 'exec node')}`], {
      cwd: folder,
      env: environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.teardown(async () => {
      gateway.kill('SIGTERM');
      await once(gateway, 'exit');
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    gateway.stdout.on('data', (chunk: Buffer) => chunk.toString().includes('"msg":"ready"') && resolve());
    await promise;
  }
  const [first = '', second = '', third = ''] = take('curl ');
  const statuses = await shell([
    ...take('TOKEN='),
    ...[first, second].map((line) => line.replace('curl -i', 'curl -si')),
    ...take('npx node src/main.ts revoke'),
    `until ${third.replace('curl -i', 'curl -si')} | grep '^HTTP/1.1 401'; do :; done`,
  ]);
  t.strictSame(
    statuses
      .split('\n')
      .filter((line) => line.startsWith('HTTP/'))
      .map((line) => line.trim()),
    ['HTTP/1.1 200 OK', 'HTTP/1.1 200 OK', 'HTTP/1.1 401 Unauthorized'],
  );
  t.match(statuses, /^revoked: /m);
});
