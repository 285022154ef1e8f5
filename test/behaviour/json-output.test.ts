/** A collector that reads JSON lines understands all that the gateway prints: its start, its end, and what goes wrong. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { sallyport } from '../support/command.ts';
import { until, withTestPorts } from '../support/gateway.ts';
import { MAIN, sallyportProcess, temporaryFolder } from '../support/process.ts';
import { send } from '../support/client.ts';

const configuration = {
  // Weak enough for a warning.
  revocation: { when_stale: 'allow' },
  routes: [
    { name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } },
    { name: 'more', match: { path_prefix: '/more' }, upstream: 'u', auth: { mode: 'none' } },
  ],
  upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
};

function configurationIn(t: Test, more: Record<string, unknown> = {}): string {
  const file = join(temporaryFolder(t), 'c.json');
  writeFileSync(file, JSON.stringify(withTestPorts({ ...configuration, ...more })), { mode: 0o600 });
  return file;
}

/** Throws for a line that is no JSON object. */
const parsed = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** A gateway that lets an exception through when it is told to. */
function start(t: Test) {
  const inject =
    'process.on("SIGUSR2", () => { process.emitWarning("careful\\nnow"); setImmediate(() => { throw new Error("boom\\nboom"); }); });';
  const child = spawn(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(inject)}`, MAIN, 'run', '-c', configurationIn(t)],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const printed = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (printed.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (printed.err += chunk.toString()));
  const ended = once(child, 'close').then(([code]) => code as number);
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { child, ended, printed };
}

t.test('a start, a request and an end are JSON lines, and nothing is printed elsewhere', async (t) => {
  const { child, ended, printed } = start(t);
  await until(() => printed.out.includes('"msg":"ready"'));
  const listening = parsed(printed.out).find(({ msg }) => msg === 'listening');
  t.match(readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'), /^sallyport\0*$/, 'its name in process lists');
  await send(`http://${(listening?.['listeners'] as string[])[0]}`, '/');
  child.kill('SIGTERM');
  t.equal(await ended, 0);
  t.equal(printed.err, '');
  const lines = parsed(printed.out);
  for (const line of lines) t.match(line, { level: String, time: /^\d{4}-/, msg: String });
  t.strictSame(
    lines.flatMap(({ msg, route, upstream, access, identity_headers }) =>
      msg === 'route' ? [[route, upstream, access, identity_headers]] : [],
    ),
    [
      ['all', 'u', 'everybody', []],
      ['more', 'u', 'everybody', []],
    ],
  );
  t.ok(lines.some(({ level, warning }) => level === 'warn' && /when_stale/.test(String(warning))));
  t.equal(lines.filter(({ msg }) => msg === 'request').length, 1);
  t.match(lines.at(-1), { msg: 'stopped' });
});

t.test('the exception that ends the gateway and a warning of Node are one line each', async (t) => {
  const { child, ended, printed } = start(t);
  await until(() => printed.out.includes('"msg":"ready"'));
  child.kill('SIGUSR2');
  t.equal(await ended, 1);
  t.equal(printed.err, '');
  const lines = parsed(printed.out);
  t.match(lines.at(-1), {
    level: 'fatal',
    err: { message: 'boom\nboom', stack: /^Error: boom\nboom\n {4}at / },
  });
  t.match(
    lines.find(({ warning }) => warning === 'careful\nnow'),
    { level: 'warn', name: 'Warning' },
  );
});

t.test('a start that fails says why in lines of JSON, one for each problem', async (t) => {
  const result = await sallyportProcess(['run', '-c', configurationIn(t, { nonsense: 1, routes: [] })]);
  t.match(result, { code: 1, err: '' });
  t.match(parsed(result.out), [
    { level: 'fatal', time: /^\d{4}-/, problem: /routes: is empty/, msg: String },
    { level: 'fatal', problem: /nonsense: unknown key/ },
  ]);
  const wrong = await sallyport(['run', '--nonsense']);
  t.match(wrong, { code: 2, err: '' });
  t.match(parsed(wrong.out), [{ level: 'fatal', problem: /--nonsense/ }]);
});

t.test('what other commands print is for people, whatever standard output is', async (t) => {
  const result = await sallyport(['check', '-c', configurationIn(t, { nonsense: 1 })]);
  t.match(result, { code: 1, err: /nonsense: unknown key/ });
  t.notMatch(result.err, /^\{/);
});
