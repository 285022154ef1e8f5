/** The command line as people use it, with its exit codes: in a process of its own where that is the promise. */
import t, { type Test } from 'tap';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ADMIN_TOKEN, loginIssuer, startGateway, until } from '../support/gateway.ts';
import { sallyport, type Result } from '../support/command.ts';
import { MAIN, sallyportProcess, temporaryFolder } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { send } from '../support/client.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const STARTER = new URL('../../config/sallyport.yaml', import.meta.url).pathname;
const COMMANDS = [
  'run',
  'check',
  'explain',
  'decode',
  'revoke',
  'revocations',
  'unrevoke',
  'receipt',
  'keys',
  'api-keys',
  'routes',
  'hash',
  'healthcheck',
  'schema',
  'init',
  'demo',
];

t.test('help and usage: every command has --help; what is wrong usage exits 2', async (t) => {
  const overview = await sallyport(['--help']);
  t.equal(overview.code, 0);
  for (const command of COMMANDS) t.match(overview.out, new RegExp(`^  ${command} `, 'm'));
  const helps = await Promise.all(COMMANDS.map((command) => sallyport([command, '--help'])));
  for (const [index, { code, out }] of helps.entries()) {
    t.equal(code, 0);
    t.match(out, `sallyport ${COMMANDS[index]}`);
  }
  const wrong = [
    [],
    ['nonsense'],
    ['check', '--nonsense'],
    ['check', 'extra'],
    ['decode'],
    ['explain', 'GET'],
    ['explain', 'GET', '/no-url'],
    ['unrevoke'],
    ['receipt', 'verify'],
    ['receipt', 'verify', 'file'],
    ['receipt', 'forge', 'file', '--keys', 'file'],
    ['api-keys'],
    ['api-keys', 'nonsense'],
    ['api-keys', 'revoke'],
    ['api-keys', 'list', 'one'],
    ['api-keys', 'create', '--offline'],
    ['api-keys', 'create', '--subject', 's', '--overlap', '1h'],
    ['api-keys', 'create', '--subject', 's', '--offline', '--expires', 'soon'],
    ['api-keys', 'create', '--subject', 's', '--offline', '--claim', 'sub=x'],
    ['keys', 'refresh'],
    ['keys', 'list', 'login'],
    ['revoke', '-c', STARTER],
    ['hash', '-c', STARTER],
    ['hash', '-c', STARTER, '--subject', 'a', '--token-id', 'b'],
  ];
  for (const { code, err, out } of await Promise.all(wrong.map((args) => sallyport(args)))) {
    t.equal(code, 2);
    t.match(err + out, /--help/);
  }
  t.match(await sallyportProcess(['check', 'extra']), { code: 2, out: '', err: /--help/ }, 'as a process');
});

t.test('a command whose output cannot be written fails, and says so', async (t) => {
  const full = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(full));
  const child = spawn(process.execPath, [MAIN, 'decode', '--help'], { stdio: ['ignore', full, 'pipe'] });
  const told = child.stderr ? text(child.stderr) : '';
  t.strictSame(await once(child, 'close'), [1, null]);
  t.match(await told, /^sallyport decode: standard output cannot be written \(ENOSPC\)/);
});

const rest = (url: string): string =>
  `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none } }]\nupstreams: { u: { targets: ["${url}"] } }\n`;

t.test('a reload reads the file that run began with, and none of another usual place', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'config'));
  const configuration = `listeners: [{ host: 127.0.0.1, port: 0 }]\nadmin: { port: 0 }\n${rest('http://127.0.0.1:9')}`;
  for (const file of ['sallyport.yaml', 'config/sallyport.yaml'])
    writeFileSync(join(folder, file), configuration);
  const child = spawn(process.execPath, [MAIN, 'run'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  t.teardown(() => child.kill('SIGKILL'));
  let out = '';
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  await until(() => out.includes('"msg":"ready"'));
  rmSync(join(folder, 'sallyport.yaml'));
  child.kill('SIGHUP');
  await until(() => /is reloaded|cannot be used/.test(out));
  t.match(out, /sallyport\.yaml: cannot be read \(ENOENT\)/);
  t.notMatch(out, /is reloaded/);
  child.kill('SIGTERM');
  t.strictSame(await ended, [0, null]);
});

t.test('check: valid, invalid, strict, online', async (t) => {
  const folder = temporaryFolder(t);
  const upstream = await startUpstream(t);
  const redis = await startRedis(t);
  const file = join(folder, 'c.yaml');
  writeFileSync(
    file,
    `listeners: [{ host: 127.0.0.1, port: 0 }]\nrevocation: { store: "${redis.url}" }\nroutes: [{ name: a, match: {}, upstream: u, auth: { mode: none } }]\nupstreams: { u: { targets: ["${upstream.url}"] } }\n`,
  );
  t.match(await sallyport(['check', '-c', file]), { code: 0, out: /valid/ });
  t.match(await sallyport(['check', '-c', file, '--strict']), { code: 0 });
  const online = await sallyport(['check', '-c', file, '--online', '--json']);
  t.equal(online.code, 0);
  t.match(JSON.parse(online.out), {
    ok: true,
    online: [
      { what: /upstream u/, ok: true },
      { what: 'revocation store', ok: true, detail: /Redis \d/ },
    ],
  });
  await redis.kill();
  t.match(await sallyport(['check', '-c', file, '--online']), { code: 1, out: /FAIL {2}revocation store/ });
  const inFile = (store: string): void =>
    writeFileSync(file, `revocation: { store: "sqlite:${store}" }\n${rest(upstream.url)}`);
  inFile('r.db');
  t.match(await sallyport(['check', '-c', file, '--online']), {
    code: 0,
    out: /ok {4}revocation store: .*r\.db can be written/,
  });
  t.notOk(existsSync(join(folder, 'r.db')), 'a check makes no file');
  for (const store of ['none/r.db', 'c.yaml/r.db']) {
    inFile(store);
    t.match(
      await sallyport(['check', '-c', file, '--online']),
      { code: 1, out: /FAIL {2}revocation store: E[A-Z]+: / },
      store,
    );
  }
  writeFileSync(file, 'routes: []\nupstreams: {}\nnonsense: 1\n');
  const invalid = await sallyport(['check', '-c', file]);
  t.equal(invalid.code, 1);
  t.match(invalid.err, /c\.yaml:3:1: nonsense: unknown key/);
  const invalidJson = await sallyport(['check', '-c', file, '--json']);
  t.equal(invalidJson.code, 1);
  t.match(JSON.parse(invalidJson.out), {
    ok: false,
    problems: [/1:1: routes: is empty/, /3:1: nonsense: unknown key/],
    warnings: [],
    online: [],
  });
  t.match(
    await sallyportProcess(['run', '-c', file]),
    { code: 1, out: /nonsense: unknown key/, err: '' },
    'a broken configuration never starts',
  );
  const open = join(folder, 'open.yaml');
  writeFileSync(
    open,
    `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none } }]\nupstreams: { u: { targets: ["${upstream.url}"] } }\n`,
  );
  t.match(await sallyport(['check', '-c', open]), { code: 0, err: /plaintext beyond loopback/ });
  t.match(await sallyport(['check', '-c', open, '--strict']), { code: 1 });
  writeFileSync(join(folder, 'no-key'), '{}');
  writeFileSync(
    open,
    `identity: { assertion: { header: X-A, key_file: no-key } }\n${readFileSync(open, 'utf8')}`,
  );
  t.match(
    await sallyport(['check', '-c', open]),
    { code: 1, err: /identity\.assertion\.key_file: / },
    'a key that cannot sign',
  );
});

t.test('a key file that cannot be used has one remedy: the one for what belongs there', async (t) => {
  const issuers = 'issuers: { login: { issuer: "https://i", audiences: [a], jwks_file: keys } }\n';
  const files = ['-----BEGIN', '[]', '{"keys":[{}]}', undefined];
  const checks = files.flatMap((text) =>
    [
      [
        'identity: { assertion: { header: X-A, key_file: keys } }\n',
        /put a private Ed25519 or P-256 JWK there$/,
      ],
      [issuers, /put the issuer's public keys[^;]* there$/],
    ].map(async ([keys, wanted]) => {
      const folder = temporaryFolder(t);
      const file = join(folder, 'c.yaml');
      writeFileSync(file, `${String(keys)}${rest('http://127.0.0.1:1')}`);
      if (text !== undefined) writeFileSync(join(folder, 'keys'), text);
      const { code, err } = await sallyport(['check', '-c', file]);
      const [line = '', second] = err.split('\n').filter((each) => / (?:put|create) /.test(each));
      t.strictSame([code, second], [1, undefined], err);
      t.match(line, text === undefined ? /ENOENT.*create it/ : wanted);
      t.equal(line.match(/\b(?:put|create)\b/g)?.length, 1, `one remedy: ${line}`);
    }),
  );
  await Promise.all(checks);
});

t.test('run says why it cannot start', async (t) => {
  const folder = temporaryFolder(t);
  const upstream = await startUpstream(t);
  const taken = Number(new URL(upstream.url).port);
  const file = join(folder, 'c.yaml');
  const rest = `routes: [{ name: a, match: {}, upstream: u, auth: { mode: none } }]\nupstreams: { u: { targets: ["${upstream.url}"] } }\n`;
  writeFileSync(
    file,
    `listeners: [{ host: 127.0.0.1, port: ${taken} }]\nadmin: { port: 0 }\ntimeouts: { drain_delay: 10m }\n${rest}`,
  );
  t.match(await sallyportProcess(['run', '-c', file]), { code: 1, out: /EADDRINUSE/ }, 'and at once');
  writeFileSync(file, `revocation: { store: "sqlite:missing/folder/list.sqlite" }\n${rest}`);
  t.match(await sallyportProcess(['run', '-c', file]), { code: 1, out: /cannot be opened/ });
  t.match(await sallyportProcess(['run', '-c', join(folder, 'none.yaml')]), {
    code: 1,
    out: /cannot be read/,
  });
});

t.test('decode prints what it does not vouch for', async (t) => {
  const token = mint(createKey(), claimsOf({ sub: 'zoë' }));
  const decode = (text: string, ...more: readonly string[]): Promise<Result> =>
    sallyport(['decode', '--token-file', fileOf(t, text), ...more]);
  const decoded = await sallyportProcess(['decode', '-'], { input: `${token}\n` });
  t.equal(decoded.code, 0);
  t.match(decoded.out, /^NOT VERIFIED/);
  t.match(await decode(`Bearer ${token}`), { code: 1, out: '', err: /the scheme and not the token/ });
  t.match(decoded.out, /"sub": "zoë"/);
  t.match(decoded.out, /"exp": \d+ {3}\d{4}-\d\d-\d\dT/);
  t.match(JSON.parse((await decode(token, '--json')).out), { verified: false, claims: { sub: 'zoë' } });
  t.match(await decode('opaque'), { code: 1, err: /no JWT/ });
  t.match(await decode(`${token}=`), { code: 1, err: /well-formed/ });
});

/** A file with this text, such as a token. */
function fileOf(t: Test, text: string): string {
  const file = join(temporaryFolder(t), 'text');
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

t.test('revoke, revocations, unrevoke: the whole life of an entry', async (t) => {
  const key = createKey();
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    issuers: { login: loginIssuer(key) },
    revocation: { claims: ['device'] },
    routes: [{ name: 'r', match: {}, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const folder = temporaryFolder(t);
  const secret = join(folder, 'admin-token');
  writeFileSync(secret, `${ADMIN_TOKEN}\n`, { mode: 0o600 });
  const admin = ['--admin', gateway.adminUrl, '--admin-token-file', secret];
  const token = mint(key);
  const statusOf = async (): Promise<number> => (await send(gateway.url, '/', { token })).status;

  const revoke = (text: string, ...more: readonly string[]): Promise<Result> =>
    sallyport(['revoke', '--token-file', fileOf(t, text), ...more, ...admin]);
  t.match(await revoke(token, '--dry-run'), { code: 0, out: /would revoke token_id/ });
  t.equal(await statusOf(), 200);
  t.match(
    await sallyportProcess(['revoke', '--token-file', '-', '--reason', 'leaked', ...admin], { input: token }),
    { code: 0, out: /^revoked: token_id/ },
  );
  t.equal(await statusOf(), 401);
  const list = await sallyport(['revocations', '--json', ...admin]);
  const [entry] = JSON.parse(list.out) as { id: string; reason: string }[];
  t.equal(entry?.reason, 'leaked');
  t.match(await sallyport(['revocations', 'show', entry?.id ?? '', ...admin]), { code: 0, out: /leaked/ });
  t.match(await sallyport(['unrevoke', entry?.id ?? '', ...admin]), { code: 0, out: /undone/ });
  t.equal(await statusOf(), 200);
  t.match(await sallyport(['unrevoke', entry?.id ?? '', ...admin]), { code: 1, err: /nothing is revoked/ });
  t.match(
    await sallyport([
      'revoke',
      '--issuer',
      'login',
      '--claim',
      'device=phone',
      '--issued-before',
      '2026-01-01T00:00:00Z',
      ...admin,
    ]),
    { code: 0, out: /2026-01-01T00:00:00Z/ },
  );
  // As seconds since 1970 a year would end nothing, and of 1/2/2026 the month is unclear.
  for (const time of ['2026', '20260131', '1/2/2026', '2026-13-01', 'Feb 2026', ''])
    t.match(
      await sallyport(['revoke', '--issuer', ISSUER, '--subject', 'x', '--issued-before', time, ...admin]),
      { code: 2, err: /is no time; write 2026-01-31T12:00:00Z/ },
      time,
    );
  t.match(await sallyport(['revoke', '--issuer', ISSUER, '--subject', 'alice', ...admin]), { code: 0 });
  t.equal(await statusOf(), 401);
  t.match(await sallyport(['revocations', '--subject', 'alice', ...admin]), {
    code: 0,
    out: /subject alice/,
  });
  t.match(await sallyport(['revoke', '--issuer', 'unknown', '--subject', 'x', ...admin]), {
    code: 1,
    err: /no issuer/,
  });
  for (const input of [`Bearer ${token}`, `"${token}"`, `${token}\n${token}`])
    t.match(await revoke(input), { code: 1, out: '' });
  t.match(await revoke(`  ${token}\r\n`), { code: 0 });
  t.match(await sallyport(['revocations', '--admin', 'http://127.0.0.1:1', '--admin-token-file', secret]), {
    code: 1,
    err: /cannot be reached/,
  });
});

t.test('routes, schema and init', async (t) => {
  const folder = temporaryFolder(t);
  t.match(await sallyport(['routes', '-c', STARTER]), { code: 0, out: /orders .*\/orders\/\*.*orders:read/ });
  t.match(JSON.parse((await sallyport(['routes', '-c', STARTER, '--json'])).out), [
    { route: 'orders', identity_headers: { 'X-User-Id': 'sub' } },
    { route: 'health', mode: 'none' },
  ]);
  const upstream = [
    { name: 'a', weight: 9 },
    { name: 'b', weight: 1 },
  ];
  const split = join(folder, 'split.json');
  writeFileSync(join(folder, 'identity.jwk'), '{}');
  writeFileSync(
    split,
    JSON.stringify({
      issuers: { i: { issuer: 'https://i', hmac_secret: 's'.repeat(64), algorithms: ['HS256'] } },
      identity: { assertion: { key_file: 'identity.jwk' } },
      routes: [{ name: 'r', match: {}, upstream, sticky: 'subject' }],
      upstreams: { a: { targets: ['http://a:1'] }, b: { targets: ['http://b:1'] } },
    }),
  );
  t.match(JSON.parse((await sallyport(['routes', '-c', split, '--json'])).out), [
    { route: 'r', upstream, sticky: 'subject', assertion: { audience: ['a', 'b'] } },
  ]);
  t.match(JSON.parse((await sallyport(['schema'])).out), { title: 'Sallyport configuration' });
  t.match(await sallyportProcess(['init'], { cwd: folder }), { code: 0 });
  t.equal(
    readFileSync(join(folder, 'sallyport.yaml'), 'utf8'),
    readFileSync(STARTER, 'utf8')
      .replace('# log_key_file', 'log_key_file')
      .replace('# token_file', 'token_file'),
  );
  const keyFile = join(folder, 'sallyport-log-key');
  t.equal(statSync(keyFile).mode & 0o777, 0o600);
  const key = readFileSync(keyFile, 'utf8');
  t.match(await sallyportProcess(['init'], { cwd: folder }), { code: 1, err: /exists already/ });
  const other = join(folder, 'other.yaml');
  t.match(await sallyport(['init', other]), { code: 0 });
  t.equal(readFileSync(keyFile, 'utf8'), key, 'a key that is there stays');
  t.match(await sallyportProcess(['check'], { cwd: folder }), { code: 0 }, 'sallyport.yaml is the default');
  t.match(await sallyport(['hash', '-c', other, '--subject', 'alice']), { code: 0, out: /^[\w-]{16}\n$/ });
});

t.test('hash prints what the log shows, and exits 1 where no key is set', async (t) => {
  const upstream = await startUpstream(t);
  const key = createKey();
  const folder = temporaryFolder(t);
  const configuration = {
    log_key_file: 'key',
    issuers: { login: loginIssuer(key) },
    routes: [{ name: 'r', match: {}, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  };
  writeFileSync(join(folder, 'key'), `${'k'.repeat(32)}\n`, { mode: 0o600 });
  const gateway = await startGateway(t, configuration, { folder });
  await send(gateway.url, '/', { token: mint(key, claimsOf({ sub: 'zoë@example.com', jti: 'one' })) });
  await until(() => gateway.log.some(({ msg }) => msg === 'request'));
  const { auth } = gateway.log.at(-1) as { auth: { sub_hash: string; jti_hash: string } };
  const file = join(folder, 'c.json');
  writeFileSync(file, JSON.stringify(configuration));
  t.match(await sallyport(['hash', '-c', file, '--subject', 'zoë@example.com']), {
    code: 0,
    out: `${auth.sub_hash}\n`,
  });
  const asJson = await sallyport(['hash', '-c', file, '--token-id', 'one', '--json']);
  t.strictSame(JSON.parse(asJson.out), { jti_hash: auth.jti_hash });
  writeFileSync(file, JSON.stringify({ ...configuration, log_key_file: undefined }));
  t.match(await sallyport(['hash', '-c', file, '--subject', 'a']), { code: 1, out: '', err: /log_key_file/ });
  writeFileSync(file, JSON.stringify({ ...configuration, log_key_file: undefined, log_key: 'short' }));
  t.match(await sallyport(['check', '-c', file, '--strict']), { code: 1, err: /log_key: .* guessed/ });
});

t.test('the demo plays its story', async (t) => {
  const { code, out } = await sallyportProcess(['demo', '--script']);
  t.equal(code, 0, out);
  t.match(out, /the story went as expected/);
  t.notMatch(out, /FAIL/);
});

t.test('an unsupported Node is told so in one line, and exits 1', async (t) => {
  // The entry as it is published, under a process that claims to be an old Node.
  const { default: typescript } = await import('typescript');
  const folder = temporaryFolder(t);
  const entry = typescript.transpile(readFileSync(MAIN, 'utf8'), {
    module: typescript.ModuleKind.ESNext,
    target: typescript.ScriptTarget.ES2022,
  });
  const file = join(folder, 'main.mjs');
  writeFileSync(
    file,
    `Object.defineProperty(process.versions, 'node', { value: '20.9.0' });\n${entry.replace(/^#!.*/, '')}`,
  );
  const child = spawn(process.execPath, [file]);
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  t.equal(code, 1);
  t.match(err, /^sallyport: Node 20\.9\.0 is not supported; install Node 24 .*\n$/);
});
