/**
 * Upstreams that send pieces of responses in any order, cut them off and hang: the gateway lives, its clients get HTTP or
 * a broken connection, and no client gets what was meant for another. Rules H4, H9, H12, H15, H17, C18, C19.
 */
import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { SeededRandom } from '../support/seeded-random.ts';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';
import { startRawUpstream } from '../support/upstream.ts';

const EXCHANGES = Number(process.env['FUZZ_RUNS'] ?? 800);
const AT_A_TIME = 24;
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);

const HANDSHAKE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
};

const STATUS_LINES = [
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.0 200 OK\r\n',
  'HTTP/1.1 204 No Content\r\n',
  'HTTP/1.1 304 Not Modified\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n',
  'HTTP/1.1 101 Switching Protocols\r\n',
  'HTTP/1.1 200\r\n',
  'HTTP/1.1 099 X\r\n',
  'HTTP/1.1 999 X\r\n',
  'HTTP/2.0 200 OK\r\n',
  'ICY 200 OK\r\n',
  '',
];
const FIELDS = [
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 5\r\nContent-Length: 6\r\n',
  'Content-Length: -1\r\n',
  'Content-Length: 5, 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Transfer-Encoding: chunked, identity\r\n',
  'Connection: close\r\n',
  'Connection: x-tag\r\n',
  'X-Tag: evil\r\n',
  'Set-Cookie: a=b\r\n',
  'X: a\r\n b\r\n',
  'X : a\r\n',
  'X: \u0001\r\n',
  ': x\r\n',
  'Bad\r\n',
  `X-Big: ${'a'.repeat(20_000)}\r\n`,
  'Keep-Alive: timeout=5\r\n',
  'Upgrade: h2c\r\n',
  '\r',
  '\n',
  '\r\n',
];
const BODIES = [
  '',
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n',
  '5;ext=1\r\nhello\r\n0\r\nT: x\r\n\r\n',
  'ffffffffffffffff\r\n',
  '-5\r\n',
  '\0',
  'x'.repeat(70_000),
  'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Tag: evil\r\n\r\nevil',
];

interface Script {
  readonly pieces: readonly Buffer[];
  readonly pauseMs: number;
  readonly end: 'end' | 'reset' | 'stay';
}

function scriptOf(random: SeededRandom): Script {
  let text = random.of(STATUS_LINES);
  for (let fields = random.below(4); fields > 0; fields--) text += random.of(FIELDS);
  if (random.below(8) > 0) text += '\r\n';
  for (let bodies = random.below(3); bodies > 0; bodies--) text += random.of(BODIES);
  const bytes = Buffer.from(text, 'latin1');
  const pieces: Buffer[] = [];
  for (let at = 0, cuts = random.below(4); at < bytes.length; cuts--) {
    const size = cuts > 0 ? 1 + random.below(200) : bytes.length;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return { pieces, pauseMs: random.of([0, 0, 1, 4]), end: random.of(['end', 'reset', 'stay', 'end']) };
}

/** One script for each outcome. */
const CERTAIN: readonly [status: number, script: string][] = [
  [200, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
  [502, 'ICY 200 OK\r\n\r\n'],
  [504, ''],
];

interface Outcome {
  readonly status?: number | undefined;
  readonly body?: string;
  readonly tag?: unknown;
  /** The code of what went wrong on the client's side. */
  readonly error?: string | undefined;
}

function ask(
  gateway: TestGateway,
  agent: Agent,
  method: string,
  path: string,
  headers = {},
): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const request = httpRequest(`${gateway.url}${path}`, { agent, method, headers, maxHeaderSize: 256 * 1024 });
  const broken = (error: NodeJS.ErrnoException): void => resolve({ error: error.code });
  request.on('error', broken);
  request.on('upgrade', (response, socket) => {
    socket.destroy();
    resolve({ status: response.statusCode });
  });
  request.on('response', (response) => {
    let body = '';
    response.on('error', broken);
    response.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
    response.on('end', () => resolve({ status: response.statusCode, body, tag: response.headers['x-tag'] }));
  });
  request.end(method === 'POST' ? 'body' : undefined);
  return promise;
}

const route = {
  name: 'r',
  match: {},
  auth: { mode: 'none' },
  upgrade: ['websocket'],
};
/** For upstreams that hang. A response that comes too late for it is one outcome of several. */
const IMPATIENT = { timeouts: { response: '300ms', idle: '300ms' } };

t.test(`hostile upstreams, seed ${SEED}`, async (t) => {
  const random = new SeededRandom(SEED);
  const scripts = [
    ...Array.from({ length: EXCHANGES }, () => scriptOf(random)),
    ...CERTAIN.map(([, text]): Script => ({ pieces: [Buffer.from(text)], pauseMs: 0, end: 'stay' })),
  ];
  const play = async (socket: Socket, { pieces, pauseMs, end }: Script): Promise<void> => {
    for (const piece of pieces) {
      socket.write(piece);
      if (pauseMs > 0) await pause(pauseMs);
    }
    if (end === 'end') socket.end();
    if (end === 'reset') socket.resetAndDestroy();
  };
  const evil = await startRawUpstream(t, (socket, received) => {
    if (!received.endsWith('\r\n\r\n') && !received.endsWith('body')) return;
    const number = [...received.matchAll(/ \/evil\/(\d+) /g)].at(-1)?.[1];
    const script = scripts[Number(number)];
    if (script) void play(socket, script);
  });
  const good = await startRawUpstream(t, (socket, received) => {
    const path = / (\/good\/\d+) HTTP\/1\.1\r\n(?:[^\r]+\r\n)+\r\n$/.exec(received)?.[1];
    if (path)
      socket.write(`HTTP/1.1 200 OK\r\nX-Tag: ${path}\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
  });
  const gateway = await startGateway(t, {
    routes: [
      { ...route, ...IMPATIENT, name: 'evil', match: { path_prefix: '/evil' }, upstream: 'evil' },
      { ...route, name: 'good', match: { path_prefix: '/good' }, upstream: 'good' },
    ],
    upstreams: {
      evil: { targets: [evil.url], connect_timeout: '2s' },
      good: { targets: [good.url] },
    },
  });
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const malformed: unknown[] = [];
  const mixedUp: unknown[] = [];
  const outcomes = new Map<unknown, number>();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let number = next++; number < EXCHANGES; number = next++) {
      const asksToSwitch = number % 7 === 0;
      const method = asksToSwitch ? 'GET' : (['GET', 'HEAD', 'POST'][number % 3] ?? '');
      const outcome = await ask(gateway, agent, method, `/evil/${number}`, asksToSwitch ? HANDSHAKE : {});
      const what = outcome.status ?? outcome.error;
      outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
      if (outcome.error !== undefined && outcome.error !== 'ECONNRESET') malformed.push([number, outcome]);
      const path = `/good/${number}`;
      const other = await ask(gateway, agent, 'GET', path);
      if (other.status !== 200 || other.body !== path || other.tag !== path) mixedUp.push([number, other]);
    }
  };
  for (const [index, [status]] of CERTAIN.entries()) {
    // Again, where a busy machine has taken longer than the route waits.
    await until(
      async () => (await ask(gateway, agent, 'GET', `/evil/${EXCHANGES + index}`)).status === status,
    );
    t.pass(`${status} is among the outcomes, whatever the seed`);
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  t.comment(JSON.stringify(Object.fromEntries(outcomes)));
  t.strictSame(malformed, [], 'what a client gets is HTTP, or ends in the middle');
  t.strictSame(mixedUp, [], 'each other client gets the response to its own request');
  await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
  const errors = gateway.log.filter(({ level }) => level === 'error' || level === 'fatal');
  t.strictSame(errors, [], 'nothing of this is a bug of ours');
});

/** The upstream responds to a handshake with this, and `then` may follow. */
async function handshakeWithResponse(t: Test, response: string, then?: string, more = {}) {
  const upstream = await startRawUpstream(t, (socket, received) => {
    if (!received.endsWith('\r\n\r\n')) return;
    socket.write(response, 'latin1');
    if (then !== undefined) socket.end(then, 'latin1');
  });
  const gateway = await startGateway(t, {
    routes: [{ ...route, ...more, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const client = connect(gateway.port, '127.0.0.1');
  t.teardown(() => client.destroy());
  const lines = Object.entries(HANDSHAKE).map(([name, value]) => `${name}: ${value}\r\n`);
  client.write(`GET /chat HTTP/1.1\r\nHost: a\r\n${lines.join('')}\r\n`);
  let received = '';
  client.on('data', (chunk) => (received += chunk.toString('latin1')));
  return { upstream, gateway, client, received: () => received };
}

t.test('H12 responses to a WebSocket handshake keep the rules of all others', async (t) => {
  const broken: Record<string, string> = {
    'a status that is none': 'HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n',
    'two lengths': 'HTTP/1.1 403 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    'another protocol': 'HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    'no protocol': 'HTTP/1.1 101 S\r\n\r\n',
    'a control byte': 'HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: \x01\r\n\r\n',
  };
  for (const [name, response] of Object.entries(broken)) {
    t.test(`${name}: 502`, async (t) => {
      const { client, received } = await handshakeWithResponse(t, response);
      await once(client, 'close');
      t.match(received(), /^HTTP\/1\.1 502 [^]*upstream_protocol_error/);
    });
  }

  t.test('a refusal of any size arrives whole', async (t) => {
    const body = 'x'.repeat(3_000_000);
    const response = `HTTP/1.1 403 No\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const { client, received } = await handshakeWithResponse(t, response);
    await once(client, 'close');
    const [head = '', rest = ''] = received().split('\r\n\r\n');
    t.match(head, /^HTTP\/1\.1 403 /);
    t.equal(rest.length, body.length);
  });

  t.test('a refusal that does not go on ends at timeouts.idle, and not cleanly', async (t) => {
    const { client, received, gateway } = await handshakeWithResponse(
      t,
      'HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nhello',
      undefined,
      { timeouts: { response: '1h', idle: '300ms' } },
    );
    await once(client, 'close');
    t.match(received(), /^HTTP\/1\.1 403 [^]*hello$/);
    await until(() =>
      gateway.log.some(({ msg, error }) => msg === 'request' && error === 'upstream_timeout'),
    );
  });

  t.test('1xx responses pass before it', async (t) => {
    const { client, received } = await handshakeWithResponse(
      t,
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
      'HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno',
    );
    await once(client, 'close');
    t.match(received(), /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 403 [^]*no$/);
  });

  t.test('the 101 has each field once, and the id of the exchange', async (t) => {
    const { client, received, gateway } = await handshakeWithResponse(
      t,
      'HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n\x81\x02hi',
    );
    await until(() => received().endsWith('\x81\x02hi'));
    const [head = ''] = received().split('\r\n\r\n');
    const [statusLine, ...lines] = head.split('\r\n');
    t.equal(statusLine, 'HTTP/1.1 101 Switching Protocols');
    const names = lines.map((line) => line.split(':')[0]?.toLowerCase()).sort();
    t.strictSame(names, ['connection', 'upgrade', 'x-end', 'x-request-id']);
    t.notMatch(head, /theirs/);
    client.destroy();
    await until(() => gateway.log.some(({ msg, status }) => msg === 'request' && status === 101));
    const line = gateway.log.find(({ msg }) => msg === 'request');
    t.ok(head.includes(String(line?.['request_id'])));
  });
});
