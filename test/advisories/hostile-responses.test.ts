/**
 * Upstreams that speak something else than HTTP/1, or nearly HTTP/1: a whole valid response passes, anything else is 502
 * at once, and the request is never sent twice once a byte has come. Rules H4, H10, C18, C28.
 */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { SeededRandom } from '../support/seeded-random.ts';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
const RESPONSES = Number(process.env['FUZZ_RUNS'] ?? 500);

interface Outcome {
  readonly status: number;
  readonly body: string;
  readonly code?: string;
  readonly broken?: true;
}

/** Sends these pieces as its response to every request and keeps the connection open, unless told to end it. */
async function startSpeaker(t: Test) {
  let pieces: readonly Buffer[] = [];
  let end: 'end' | 'reset' | 'stay' = 'stay';
  let speaksFirst = false;
  let requests = 0;
  const say = async (socket: Socket): Promise<void> => {
    const [ended, said] = [end, pieces];
    for (const piece of said) {
      socket.write(piece);
      await turn();
    }
    if (ended === 'end') socket.end();
    if (ended === 'reset') {
      // What has been written must have left before, or the reset overtakes it.
      await turn();
      socket.resetAndDestroy();
    }
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    let received = '';
    if (speaksFirst) void say(socket);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (!received.endsWith('\r\n\r\n')) return;
      received = '';
      requests++;
      if (!speaksFirst) void say(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    says(text: readonly Buffer[], how: typeof end = 'stay', first = false) {
      pieces = text;
      end = how;
      speaksFirst = first;
      requests = 0;
    },
    get requests() {
      return requests;
    },
  };
}

async function setUp(t: Test, more: Record<string, unknown> = {}) {
  const speaker = await startSpeaker(t);
  const gateway = await startGateway(t, {
    routes: [
      {
        ...{ name: 'r', match: {}, upstream: 'u', auth: { mode: 'none' }, upgrade: ['websocket'] },
        // Far beyond what the test waits for: what is noticed at once needs none of them.
        timeouts: { response: '1h', idle: '1h' },
        retries: { attempts: 3 },
      },
    ],
    upstreams: { u: { targets: [speaker.url], ...more } },
  });
  return { speaker, gateway };
}

async function ask(gateway: TestGateway, headers: Record<string, string> = {}): Promise<Outcome> {
  const response = await fetch(gateway.url, { headers });
  try {
    const body = await response.text();
    const isProblem = response.headers.get('content-type') === 'application/problem+json';
    return {
      status: response.status,
      body,
      ...(isProblem && { code: (JSON.parse(body) as { code: string }).code }),
    };
  } catch {
    return { status: response.status, body: '', broken: true };
  }
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const NO_HTTP: Record<string, string> = {
  'lines that end with LF': 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok',
  'one line that ends with LF': 'HTTP/1.1 200 OK\r\nX: 1\nContent-Length: 0\r\n',
  'an SSH banner': 'SSH-2.0-OpenSSH_9.6\r\n',
  'an SMTP banner': '220 mail.example.com ESMTP\r\n',
  'a TLS alert': '\x15\x03\x03\0\x02\x02\x46',
  'SETTINGS of HTTP/2': '\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64',
  'a preface of HTTP/2': 'PRI * HTTP/2.0\r\n',
  'text of HTTP/0.9': '<html>hello',
  'one wrong byte': 'X',
};

t.test('C28 what is no HTTP is 502 at once in any pieces, and asked for once', async (t) => {
  const { speaker, gateway } = await setUp(t);
  for (const [name, text] of Object.entries(NO_HTTP)) {
    const inPieces = Array.from(text, (letter) => bytes(letter));
    for (const [how, pieces] of Object.entries({ whole: [bytes(text)], 'byte by byte': inPieces })) {
      speaker.says(pieces);
      t.match(await ask(gateway), { status: 502, code: 'upstream_protocol_error' }, `${name}, ${how}`);
      t.equal(speaker.requests, 1, 'asked once');
    }
    speaker.says([bytes(text)], 'stay', true);
    t.match(await ask(gateway), { status: 502 }, `${name}, before it was asked`);
  }
  const causes = gateway.log.filter(({ msg }) => msg === 'request').map((line) => line['cause']);
  t.ok(
    causes.every((cause) => typeof cause === 'string' && cause !== ''),
    'the log says why',
  );
});

t.test('C28 a response that begins and breaks off is not asked for again, one of no byte is', async (t) => {
  const { speaker, gateway } = await setUp(t);
  for (const end of ['end', 'reset'] as const) {
    for (const begun of ['H', 'HTTP/1.1 200 OK\r\nContent-Le', 'HTTP/1.1 103 Early Hints\r\n\r\n']) {
      speaker.says([bytes(begun)], end);
      const { status } = await ask(gateway);
      t.equal(status, 502);
      // Where the reset has overtaken the bytes, none came.
      if (end === 'end') t.equal(speaker.requests, 1, `${begun} then ${end}`);
    }
    speaker.says([], end);
    t.equal((await ask(gateway)).status, 502);
    t.equal(speaker.requests, 4, `nothing then ${end}: 3 retries`);
  }
});

t.test('H4 a body that cannot go on breaks at once', async (t) => {
  const { speaker, gateway } = await setUp(t);
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  for (const rest of ['x', '3\n', '3\r\nabcX', '3\r\nabc\n', '0\r\nX: 1\n', '0\r\nX y']) {
    speaker.says([bytes(chunked), ...Array.from(rest, (letter) => bytes(letter))]);
    const outcome = await ask(gateway);
    t.ok(outcome.broken === true || outcome.status === 502, JSON.stringify(rest));
    t.equal(speaker.requests, 1);
  }
});

t.test('H12 the same reader reads WebSocket handshakes and health checks', async (t) => {
  const { speaker, gateway } = await setUp(t);
  for (const [name, text] of Object.entries(NO_HTTP)) {
    speaker.says([bytes(text)]);
    t.equal(await handshakeStatus(gateway), 502, name);
    t.equal(speaker.requests, 1, 'asked once');
  }
  const checked = await setUp(t, {
    health: { path: '/', interval: '20ms', timeout: '1h', unhealthy_after: 1, healthy_after: 1 },
  });
  const available = async (): Promise<boolean> =>
    (await checked.gateway.metric(
      `sallyport_upstream_target_healthy{upstream="u",target="${checked.speaker.url}"}`,
    )) === 1;
  for (const [name, text] of Object.entries(NO_HTTP)) {
    checked.speaker.says([bytes('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')], 'end');
    await until(available);
    checked.speaker.says([bytes(text)]);
    await until(async () => !(await available()));
    t.pass(`${name}: unwell at once`);
  }
});

async function handshakeStatus(gateway: TestGateway): Promise<number | undefined> {
  const request = httpRequest(gateway.url, {
    headers: {
      ...{ connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

const STARTS = [
  'HTTP/1.1 200 OK',
  'HTTP/1.1 204 No',
  'HTTP/1.0 200 OK',
  'HTTP/1.1 404',
  'HTTP/2 200',
  'ICY 200',
];
const FIELDS = [
  ...[
    'Content-Length: 5',
    'Content-Length: 5',
    'Content-Length: 05',
    'Content-Length: +5',
    'Content-Length: 5,5',
  ],
  ...['Transfer-Encoding: chunked', 'Transfer-Encoding: gzip', 'X: a', 'X:', 'X : a', 'X', ': a', ' folded'],
  ...['X: \0', 'X: a\rb', 'Connection: close', 'X: \xff'],
];
const BODIES = ['hello', '5\r\nhello\r\n0\r\n\r\n', '5\nhello\n0\n\n', '-5\r\n', '0\r\n\r\n', 'hell', ''];
/** Mostly right, so that whole responses are among them. */
const ENDS = ['\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r'];

/** First of all: one that passes and one that is refused, whatever the seed. */
const CERTAIN = ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 'ICY 200 OK\r\n\r\n'];

function randomResponse(random: SeededRandom): string {
  let text = random.of(STARTS.slice(0, random.of([1, 4, STARTS.length]))) + random.of(ENDS);
  for (let fields = random.below(3); fields > 0; fields--) text += random.of(FIELDS) + random.of(ENDS);
  return `${text}${random.of(ENDS)}${random.of(BODIES)}`;
}

/** The one reading of a whole response: what RFC 9112 says, on all its bytes at once. Undefined: it is none. */
function reading(text: string): { status: number; body: string } | undefined {
  const end = text.indexOf('\r\n\r\n');
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const match = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/.exec(statusLine);
  if (end < 0 || !match) return undefined;
  const [, minor, status] = match;
  const rest = text.slice(end + 4);
  if (!lines.every((line) => /^[\w-]+:[\t\x20-\x7e\x80-\xff]*$/.test(line))) return undefined;
  const valuesOf = (name: string): string[] =>
    lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
  const [lengths, codings] = [valuesOf('Content-Length'), valuesOf('Transfer-Encoding')];
  if (lengths.length > 1 || codings.length > 1 || !lengths.every((length) => /^\d+$/.test(length)))
    return undefined;
  if (codings.length > 0 && (codings[0] !== 'chunked' || lengths.length > 0 || minor === '0'))
    return undefined;
  return withBody(Number(status), lengths[0], codings.length > 0, rest);
}

function withBody(status: number, length: string | undefined, chunked: boolean, rest: string) {
  if (status === 204) return { status, body: '' };
  if (chunked) {
    if (rest.startsWith('0\r\n\r\n')) return { status, body: '' };
    return rest.startsWith('5\r\nhello\r\n0\r\n\r\n') ? { status, body: 'hello' } : undefined;
  }
  if (length === undefined) return { status, body: rest };
  return rest.length < Number(length) ? undefined : { status, body: rest.slice(0, Number(length)) };
}

t.test(
  `C18 C28 random responses: whole and valid, or 502 at once, and asked once; seed ${SEED}`,
  async (t) => {
    const random = new SeededRandom(SEED);
    const { speaker, gateway } = await setUp(t);
    const wrong: unknown[] = [];
    const counts = { whole: 0, refused: 0, broken: 0 };
    for (let number = 0; number < RESPONSES; number++) {
      const text = CERTAIN[number] ?? randomResponse(random);
      const expected = reading(text);
      const pieces: Buffer[] = [];
      for (let at = 0; at < text.length;) {
        const size = random.of([1, 2, 7, 40, 1_000]);
        pieces.push(bytes(text.slice(at, at + size)));
        at += size;
      }
      // It ends the connection: what is only a beginning shall not be waited for.
      speaker.says(pieces, 'end');
      const outcome = await ask(gateway);
      const asked = speaker.requests;
      const isRight =
        outcome.status === 502
          ? expected === undefined
          : outcome.broken === true
            ? expected === undefined
            : expected?.status === outcome.status && expected.body === outcome.body;
      if (!isRight || asked !== 1) wrong.push({ number, text, expected, outcome, asked });
      counts[outcome.status === 502 ? 'refused' : outcome.broken ? 'broken' : 'whole']++;
    }
    t.strictSame(wrong, []);
    t.comment(JSON.stringify(counts));
    t.ok(counts.whole > 0 && counts.refused > 0);
  },
);
