/** The how-tos, command by command, at a gateway as the reader has it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { blocksOf, fileIn, type Block } from '../support/document.ts';
import { send } from '../support/client.ts';
import { until } from '../support/gateway.ts';
import { createKey } from '../support/tokens.ts';
import { noTerminal, sitDown, type Reader } from './support/reader.ts';

const STARTED = `
realm: api.example.com
listeners: [{ host: 127.0.0.1, port: 8080 }]
admin: { port: 9090, token_file: admin-token }
issuers: { login: { issuer: https://login.example.com, discovery: true, audiences: [https://api.example.com] } }
revocation: { store: redis://127.0.0.1:6379/0 }
routes: [{ name: orders, match: { path_prefix: /orders }, upstream: orders, auth: { scopes: [orders:read] } }]
upstreams: { orders: { targets: [http://127.0.0.1:3000] } }
`;

/** Follows the blocks that are commands, and what they print. */
async function follow(t: Test, { terminal }: Reader, blocks: readonly Block[]): Promise<void> {
  for (const block of blocks.filter(({ language }) => language === 'sh' || language === 'text'))
    await terminal.follow(t, block);
}

const commandsOf = (page: string): Block[] =>
  blocksOf(page).filter(({ language }) => language === 'sh' || language === 'text');

/** The place in a page where a command begins. */
function indexOf(blocks: readonly Block[], text: string): number {
  const index = blocks.findIndex((block) => block.text.includes(text));
  if (index < 0) throw new Error(`no block has ${text}`);
  return index;
}

const statusOf = async (reader: Reader, token: string): Promise<number> =>
  (await send(`http://127.0.0.1:${reader.portOf('8080')}`, '/orders', { token })).status;

t.test('a stolen phone', { skip: noTerminal }, async (t) => {
  const reader = await sitDown(t, STARTED);
  await reader.start();
  const token = reader.token({ sid: '5d1b7c3e-0a2f' });
  reader.write('token', `${token}\n`);
  t.equal(await statusOf(reader, token), 200);
  const blocks = commandsOf('how-to/stolen-phone.md');
  const [subject, undo] = [indexOf(blocks, '--subject alice'), indexOf(blocks, 'unrevoke "$ID"')];
  await follow(t, reader, blocks.slice(0, subject));
  t.equal(await statusOf(reader, token), 401, 'the session has ended');
  t.equal(await statusOf(reader, reader.token({ sid: 'another' })), 200, 'another of the user has not');
  const other = reader.token({ sid: 'another' });
  await follow(t, reader, blocks.slice(subject, undo));
  t.equal(await statusOf(reader, other), 401, 'all of the user has ended');
  await follow(t, reader, blocks.slice(undo));
  t.equal(await statusOf(reader, other), 200, 'the entry of the user is undone');
});

t.test('keys are rotated', { skip: noTerminal }, async (t) => {
  const page = 'how-to/rotate-keys.md';
  const reader = await sitDown(t, `${fileIn(page, 'sallyport.yaml').text}log_key_file: log-key\n`);
  const first = { ...createKey('EdDSA').privateKey.export({ format: 'jwk' }) };
  for (const name of ['assertion-1.json', 'assertion-keys.json']) reader.write(name, JSON.stringify(first));
  for (const name of ['admin-token-2', 'log-key']) reader.write(name, `${name}-that-is-long-enough-for-it\n`);
  const leaked = createKey('ES256', 'leaked');
  reader.issuer.keys.push(leaked);
  await reader.redis.command('ACL', 'SETUSER', 'gateway', 'on', '>old-password');
  await reader.start();
  const stolen = reader.token({}, leaked);
  t.equal(await statusOf(reader, stolen), 200);
  reader.issuer.keys.pop();
  const publishedBy = async (): Promise<string[]> => {
    const response = await fetch(`http://127.0.0.1:${reader.portOf('9090')}/.well-known/sallyport/jwks.json`);
    return ((await response.json()) as { keys: { x: string }[] }).keys.map(({ x }) => x);
  };
  const blocks = commandsOf('how-to/rotate-keys.md');
  const assertion = indexOf(blocks, 'new_key()');
  await follow(t, reader, blocks.slice(0, assertion));
  t.equal(await statusOf(reader, stolen), 401);
  t.equal(await statusOf(reader, reader.token()), 200);
  const steps = blocks.slice(assertion, indexOf(blocks, 'jwks.json'));
  t.equal(steps.length, 4);
  const expected: [number, number | undefined][] = [
    [1, 0],
    [2, 0],
    [2, 1],
    [1, undefined],
  ];
  for (const [index, step] of steps.entries()) {
    await follow(t, reader, [step]);
    const [count, place] = expected[index] ?? [];
    await until(async () => {
      const published = await publishedBy();
      const at = published.indexOf(String(first.x));
      return published.length === count && at === (place ?? -1);
    });
    t.pass(`${count} published, the first key is ${place === undefined ? 'gone' : `number ${place + 1}`}`);
  }
  await follow(t, reader, blocks.slice(indexOf(blocks, 'jwks.json')));
  t.match(await reader.redis.command('AUTH', 'gateway', 'new-password'), /OK|^$/);
  t.match(await reader.redis.command('AUTH', 'gateway', 'old-password'), /WRONGPASS/);
});

t.test('everything of this issuer', { skip: noTerminal }, async (t) => {
  const page = 'how-to/everything-of-this-issuer.md';
  // The other issuer of the page needs no server here.
  const reader = await sitDown(
    t,
    fileIn(page, 'sallyport.yaml').text.replace(
      /issuer: https:\/\/login\.partner\.example\n {4}discovery: true/,
      `issuer: https://login.partner.example\n    jwks: { keys: [${JSON.stringify(createKey().jwk)}] }`,
    ),
  );
  await reader.start();
  const token = reader.token();
  t.equal(await statusOf(reader, token), 200);
  const blocks = commandsOf('how-to/everything-of-this-issuer.md');
  const close = indexOf(blocks, 'awk');
  await follow(t, reader, blocks.slice(0, close));
  t.equal(await statusOf(reader, token), 401);
  await until(async () => (await statusOf(reader, reader.token())) === 200);
  await follow(t, reader, blocks.slice(close));
  await until(async () => (await statusOf(reader, reader.token())) === 401);
  t.pass('closed');
});

t.test('blue-green', { skip: noTerminal }, async (t) => {
  const reader = await sitDown(t, fileIn('how-to/blue-green.md', 'sallyport.yaml').text);
  await reader.start();
  const [, blue, green] = reader.upstreams;
  const count = (): number[] =>
    [blue, green].map((upstream) => upstream?.seen.filter(({ url }) => url === '/orders').length ?? 0);
  t.equal(await statusOf(reader, reader.token()), 200);
  t.strictSame(count(), [1, 0]);
  const blocks = commandsOf('how-to/blue-green.md');
  const back = indexOf(blocks, 'mv blue.yaml');
  await follow(t, reader, blocks.slice(0, back));
  t.equal(await statusOf(reader, reader.token()), 200);
  t.strictSame(count(), [1, 1], 'green serves');
  await follow(t, reader, blocks.slice(back));
  await until(async () => (await statusOf(reader, reader.token())) === 200 && count()[0] === 2);
  t.pass('blue serves again');
});

t.test('upgrading: one gateway after the other', { skip: noTerminal }, async (t) => {
  const reader = await sitDown(t, STARTED);
  await reader.start();
  const token = reader.token();
  t.equal(await statusOf(reader, token), 200);
  await follow(t, reader, commandsOf('how-to/upgrading.md'));
  t.equal(await statusOf(reader, token), 200);
  // Lines are written some times a second.
  const log = join(reader.terminal.home, 'work', 'gateway.log');
  await until(() => readFileSync(log, 'utf8').includes('"msg":"ready"'));
});
