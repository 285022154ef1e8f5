/**
 * Upstreams that break HTTP/2 in every way: the gateway lives, each client gets a whole right response, 502 or 504, or a
 * broken message, and the next request is served. RFC 9113. Rules H4, H10, H12, H15, H17, C18, C19.
 */
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';
import {
  startHttp2Upstream,
  startRawHttp2Upstream,
  type RawHttp2Connection,
} from '../support/http2-upstream.ts';
import { temporaryFolder } from '../support/process.ts';
import { block, END_HEADERS, END_STREAM, FRAME, frame, uint32 } from '../support/raw-http2.ts';
import { startRawUpstream, startServer } from '../support/upstream.ts';

type Outcome = 'whole' | 'broken' | number;
/** What goes out when the head of a request has come on this stream. */
type Behaviour = (connection: RawHttp2Connection, stream: number) => void;

const OK = block(':status', '200');
const headers = (stream: number, fields: Buffer, flags = 0): Buffer =>
  frame(FRAME.headers, END_HEADERS | flags, stream, fields);
const data = (stream: number, text: string | Buffer, flags = 0): Buffer =>
  frame(FRAME.data, flags, stream, Buffer.from(text as string));
const reset = (stream: number, code: number): Buffer => frame(FRAME.resetStream, 0, stream, uint32(code));
const goAway = (last: number, code: number): Buffer =>
  frame(FRAME.goAway, 0, 0, Buffer.concat([uint32(last), uint32(code)]));
const setting = (id: number, value: number): Buffer => Buffer.concat([Buffer.from([0, id]), uint32(value)]);

const right: Behaviour = (connection, stream) =>
  connection.send(headers(stream, OK), data(stream, 'right', END_STREAM));
/** These frames as the response. */
const says =
  (...frames: readonly ((stream: number) => Buffer)[]): Behaviour =>
  (connection, stream) =>
    connection.send(...frames.map((make) => make(stream)));
/** This head, then a body. */
const head = (...fields: readonly string[]): Behaviour =>
  says(
    (id) => headers(id, block(...fields)),
    (id) => data(id, 'right', END_STREAM),
  );

async function setUp(t: Test, more: Record<string, unknown> = {}) {
  let behave: Behaviour = right;
  const state = { requests: 0 };
  const upstream = await startRawHttp2Upstream(t, (connection, { type, stream }) => {
    if (type !== FRAME.headers) return;
    state.requests++;
    behave(connection, stream);
  });
  const gateway = await startGateway(t, {
    routes: [
      {
        ...{ name: 'r', match: {}, upstream: 'u', auth: { mode: 'none' } },
        timeouts: { response: '1s', idle: '1s' },
        retries: { attempts: 3 },
      },
    ],
    upstreams: { u: { targets: [upstream.url], ...more } },
  });
  return {
    gateway,
    upstream,
    state,
    behaves: (next: Behaviour): void => {
      behave = next;
      state.requests = 0;
    },
  };
}

async function ask(gateway: TestGateway, init: RequestInit = {}): Promise<Outcome> {
  try {
    const response = await fetch(gateway.url, init);
    const body = await response.text();
    if (response.status !== 200) return response.status;
    return body === 'right' || (init.method === 'HEAD' && body === '') ? 'whole' : `wrong: ${body}`.length;
  } catch {
    return 'broken';
  }
}

/** Promises the stream behind this one. */
const promise = (stream: number): Buffer =>
  frame(
    FRAME.pushPromise,
    END_HEADERS,
    stream,
    Buffer.concat([
      uint32(stream + 1),
      block(':method', 'GET', ':scheme', 'http', ':authority', 'evil', ':path', '/'),
    ]),
  );

const NOT_FOR_STREAMS = [0, 2, 101];
const BEFORE_RESPONSE: Record<string, [Behaviour, Outcome]> = {
  'no :status': [head('x', '1'), 502],
  'two :status': [head(':status', '200', ':status', '200'), 502],
  'a :status of two digits': [head(':status', '99'), 502],
  'a :status of four digits': [head(':status', '0200'), 502],
  'a :status that is no number': [head(':status', 'abc'), 502],
  'an empty :status': [head(':status', ''), 502],
  'a :status above 599': [head(':status', '999'), 502],
  'a :status of 101': [head(':status', '101'), 502],
  'a :path in a response': [head(':status', '200', ':path', '/evil'), 502],
  'a pseudo-header field that does not exist': [head(':status', '200', ':evil', '1'), 502],
  'a pseudo-header field behind others': [head('x', '1', ':status', '200'), 502],
  'a name in upper case': [head(':status', '200', 'X-Upper', '1'), 502],
  connection: [head(':status', '200', 'connection', 'x'), 502],
  'keep-alive': [head(':status', '200', 'keep-alive', 'timeout=1'), 502],
  'proxy-connection': [head(':status', '200', 'proxy-connection', 'close'), 502],
  'transfer-encoding': [head(':status', '200', 'transfer-encoding', 'chunked'), 502],
  upgrade: [head(':status', '200', 'upgrade', 'h2c'), 502],
  'two lengths': [head(':status', '200', 'content-length', '5', 'content-length', '5'), 502],
  'a list of lengths': [head(':status', '200', 'content-length', '5, 5'), 502],
  'a negative length': [head(':status', '200', 'content-length', '-5'), 502],
  'a length in 204': [head(':status', '204', 'content-length', '5'), 502],
  'a 1xx that ends the stream': [says((id) => headers(id, block(':status', '103'), END_STREAM)), 502],
  'a body before a head': [says((id) => data(id, 'evil', END_STREAM)), 502],
  'field lines that HPACK cannot read': [
    says((id) => headers(id, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f]))),
    502,
  ],
  'an index beyond the table': [says((id) => headers(id, Buffer.from([0xfe]))), 502],
  'a frame larger than allowed': [says((id) => headers(id, Buffer.alloc(20_000))), 502],
  'padding longer than the frame': [
    says((id) => frame(FRAME.headers, END_HEADERS | 8, id, Buffer.concat([Buffer.from([255]), OK]))),
    502,
  ],
  'CONTINUATION without end': [
    (connection, stream) => {
      const more = Array.from({ length: 2_000 }, (_, count) =>
        frame(FRAME.continuation, 0, stream, block(`x-${count}`, 'v'.repeat(100))),
      );
      connection.send(Buffer.concat([frame(FRAME.headers, 0, stream, OK), ...more]));
    },
    502,
  ],
  'empty CONTINUATION without end': [
    (connection, stream) => {
      const more = Array<Buffer>(20_000).fill(frame(FRAME.continuation, 0, stream));
      connection.send(Buffer.concat([frame(FRAME.headers, 0, stream, OK), ...more]));
    },
    502,
  ],
  'another frame between HEADERS and CONTINUATION': [
    says(
      (id) => frame(FRAME.headers, 0, id, OK),
      () => frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
    ),
    502,
  ],
  '1,000 field lines': [
    head(':status', '200', ...Array.from({ length: 1_000 }, (_, index) => [`x-${index}`, '1']).flat()),
    502,
  ],
  'a field line of 100 KiB': [
    (connection, stream) => {
      const bytes = block(':status', '200', 'x', 'v'.repeat(100_000));
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += 16_384) pieces.push(bytes.subarray(at, at + 16_384));
      pieces.forEach((piece, index) =>
        connection.send(
          frame(
            index === 0 ? FRAME.headers : FRAME.continuation,
            index === pieces.length - 1 ? END_HEADERS : 0,
            stream,
            piece,
          ),
        ),
      );
      connection.send(data(stream, 'right', END_STREAM));
    },
    502,
  ],
  'a window update of 0': [says((id) => frame(FRAME.windowUpdate, 0, id, uint32(0))), 502],
  'a window beyond 2^31': [
    says(
      (id) => frame(FRAME.windowUpdate, 0, id, uint32(0x7fffffff)),
      (id) => frame(FRAME.windowUpdate, 0, id, uint32(0x7fffffff)),
    ),
    502,
  ],
  'a connection window beyond 2^31': [
    says(
      () => frame(FRAME.windowUpdate, 0, 0, uint32(0x7fffffff)),
      () => frame(FRAME.windowUpdate, 0, 0, uint32(0x7fffffff)),
    ),
    502,
  ],
  'SETTINGS of a bad size': [says(() => frame(FRAME.settings, 0, 0, Buffer.alloc(5))), 502],
  'SETTINGS of a stream': [says((id) => frame(FRAME.settings, 0, id)), 502],
  'a maximal frame size of 0': [says(() => frame(FRAME.settings, 0, 0, setting(5, 0))), 502],
  'an initial window of 2^31': [says(() => frame(FRAME.settings, 0, 0, setting(4, 0x80000000))), 502],
  'PUSH enabled by a server': [says(() => frame(FRAME.settings, 0, 0, setting(2, 1))), 502],
  'text of HTTP/1.1': [
    (connection) => connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'),
    502,
  ],
  'the end of the connection': [(connection) => connection.socket.end(), 502],
  'a connection that is reset': [(connection) => connection.socket.resetAndDestroy(), 502],
  silence: [() => undefined, 504],
  ...Object.fromEntries(
    NOT_FOR_STREAMS.map((other): [string, [Behaviour, Outcome]] => [
      `a body on stream ${other}, which no request has`,
      [says((id) => data(other === 101 ? id + 100 : other, 'evil', END_STREAM)), 502],
    ]),
  ),
  ...Object.fromEntries(
    [0, 1, 2, 3, 5, 8, 9, 11, 13, 99, 0xffffffff].map((code): [string, [Behaviour, Outcome]] => [
      `RST_STREAM ${code}`,
      [says((id) => reset(id, code)), 502],
    ]),
  ),
};

const WITHIN_BODY: Record<string, Behaviour> = {
  ...Object.fromEntries(
    [0, 1, 2, 7, 8, 99].map((code): [string, Behaviour] => [
      `RST_STREAM ${code}`,
      says(
        (id) => headers(id, OK),
        (id) => data(id, 'part'),
        (id) => reset(id, code),
      ),
    ]),
  ),
  'RST_STREAM 0 where a length was announced': says(
    (id) => headers(id, block(':status', '200', 'content-length', '100')),
    (id) => data(id, 'part'),
    (id) => reset(id, 0),
  ),
  'RST_STREAM 0 right behind the head': says(
    (id) => headers(id, OK),
    (id) => reset(id, 0),
  ),
  'a body longer than its length': head(':status', '200', 'content-length', '4'),
  'a body shorter than its length': head(':status', '200', 'content-length', '6'),
  'a length, and no body': says((id) =>
    headers(id, block(':status', '200', 'content-length', '5'), END_STREAM),
  ),
  'a body of 304': head(':status', '304'),
  'a body of 204': head(':status', '204'),
  'a second head': says(
    (id) => headers(id, OK),
    (id) => data(id, 'part'),
    (id) => headers(id, block(':status', '200', 'x', 'evil')),
  ),
  'trailers that do not end the stream': says(
    (id) => headers(id, OK),
    (id) => data(id, 'part'),
    (id) => headers(id, block('x', '1')),
    (id) => data(id, 'evil', END_STREAM),
  ),
  'trailers with :status': says(
    (id) => headers(id, OK),
    (id) => data(id, 'part'),
    (id) => headers(id, block(':status', '200'), END_STREAM),
  ),
  'trailers with a field of connections': says(
    (id) => headers(id, OK),
    (id) => data(id, 'part'),
    (id) => headers(id, block('connection', 'x'), END_STREAM),
  ),
  'the end of the connection': (connection, stream) => {
    connection.send(headers(stream, OK), data(stream, 'part'));
    connection.socket.end();
  },
  'GOAWAY with an error': says(
    (id) => headers(id, OK),
    (id) => data(id, 'part'),
    (id) => goAway(id, 2),
  ),
  'GOAWAY without one, and then the end of the connection': (connection, stream) => {
    connection.send(headers(stream, OK), data(stream, 'part'), goAway(stream, 0));
    connection.socket.end();
  },
  'a pause without end': says(
    (id) => headers(id, OK),
    (id) => data(id, 'part'),
  ),
  'more than the window': says(
    (id) => headers(id, OK),
    (id) => Buffer.concat(Array.from({ length: 1_024 }, () => data(id, Buffer.alloc(16_384)))),
  ),
};

const HARMLESS: Record<string, Behaviour> = {
  'a field without a name, which is dropped': head(':status', '200', '', '1'),
  'a stream that depends on itself, since RFC 9113 knows no priorities': says(
    (id) => frame(FRAME.headers, END_HEADERS | 0x20, id, Buffer.concat([uint32(id), Buffer.from([1]), OK])),
    (id) => data(id, 'right', END_STREAM),
  ),
  'a push, which is reset': says(
    promise,
    (id) => headers(id + 1, OK),
    (id) => data(id + 1, 'evil', END_STREAM),
    (id) => headers(id, OK),
    (id) => data(id, 'right', END_STREAM),
  ),
  'a frame of a type that does not exist': says(
    (id) => frame(0xbe, 0xff, id, Buffer.from('x')),
    () => frame(0xbf, 0xff, 0, Buffer.from('x')),
    (id) => headers(id, OK),
    (id) => data(id, 'right', END_STREAM),
  ),
  'a body in padding and in empty frames': says(
    (id) => headers(id, OK),
    (id) => frame(FRAME.data, 8, id, Buffer.concat([Buffer.from([9]), Buffer.from('ri'), Buffer.alloc(9)])),
    ...Array.from({ length: 100 }, () => (id: number) => data(id, '')),
    (id) => data(id, 'ght', END_STREAM),
  ),
  '100 early hints': says(
    ...Array.from(
      { length: 100 },
      () => (id: number) => headers(id, block(':status', '103', 'link', '</a>')),
    ),
    (id) => headers(id, OK),
    (id) => data(id, 'right', END_STREAM),
  ),
  '500 PINGs and SETTINGS': says(
    ...Array.from({ length: 500 }, () => () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
    ...Array.from(
      { length: 500 },
      (_, count) => () => frame(FRAME.settings, 0, 0, setting(3, 1 + (count % 7))),
    ),
    (id) => headers(id, OK),
    (id) => data(id, 'right', END_STREAM),
  ),
  'a body behind the end of the stream': says(
    (id) => headers(id, OK),
    (id) => data(id, 'right', END_STREAM),
    (id) => data(id, 'evil', END_STREAM),
  ),
  'a head behind the end of the stream': says(
    (id) => headers(id, OK),
    (id) => data(id, 'right', END_STREAM),
    (id) => headers(id, block(':status', '200', 'x', 'evil'), END_STREAM),
  ),
  'RST_STREAM behind the end of the stream': says(
    (id) => headers(id, OK),
    (id) => data(id, 'right', END_STREAM),
    (id) => reset(id, 2),
  ),
  'GOAWAY behind the end of the stream': says(
    (id) => headers(id, OK),
    (id) => data(id, 'right', END_STREAM),
    (id) => goAway(id, 11),
  ),
  'GOAWAY before a response that comes all the same': says(
    (id) => goAway(id, 0),
    (id) => headers(id, OK),
    (id) => data(id, 'right', END_STREAM),
  ),
};

t.test('what is no response is 502, or 504 where nothing comes, and a POST is sent once', async (t) => {
  const { gateway, behaves, state } = await setUp(t);
  for (const [name, [behaviour, expected]] of Object.entries(BEFORE_RESPONSE)) {
    behaves(behaviour);
    t.equal(await ask(gateway, { method: 'POST' }), expected, name);
    t.equal(state.requests, 1, 'asked once');
    behaves(right);
    t.equal(await ask(gateway), 'whole', 'the next request is served');
  }
  t.equal(await gateway.metric('sallyport_requests_in_flight'), 0);
});

t.test('C28 a GET is asked for again only where the connection ended without a byte', async (t) => {
  const { gateway, behaves, state } = await setUp(t);
  for (const [name, [behaviour, expected]] of Object.entries(BEFORE_RESPONSE)) {
    behaves(behaviour);
    t.equal(await ask(gateway), expected, name);
    t.equal(
      state.requests,
      name.includes('connection that') || name === 'the end of the connection' ? 4 : 1,
      name,
    );
  }
});

t.test(
  'G2 a session that broke within a header block never ends the process when it is collected',
  async (t) => {
    const { gateway, behaves } = await setUp(t);
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const floods: Behaviour[] = ['CONTINUATION without end', 'empty CONTINUATION without end'].map(
      (name) => BEFORE_RESPONSE[name]?.[0] ?? right,
    );
    for (let round = 0; round < 3; round++) {
      for (const flood of floods) {
        behaves(flood);
        for (let count = 0; count < 2; count++) t.equal(await ask(gateway, { method: 'POST' }), 502);
        behaves(right);
        t.equal(await ask(gateway), 'whole');
      }
      collect();
      // Finalizers run in a task of their own.
      await setImmediate();
      collect();
    }
  },
);

t.test('H15 C19 G4 what breaks off within a body, or floods, is a broken message', async (t) => {
  const { gateway, behaves, state } = await setUp(t);
  for (const [name, behaviour] of Object.entries(WITHIN_BODY)) {
    behaves(behaviour);
    const outcome = await ask(gateway);
    t.ok(
      outcome === 'broken' ||
        outcome === 502 ||
        ((outcome === 204 || outcome === 304) && name.startsWith('a body of')),
      `${name}: ${outcome}`,
    );
    t.equal(state.requests, 1, 'asked once');
    behaves(right);
    t.equal(await ask(gateway), 'whole', 'the next request is served');
  }
  behaves(head(':status', '200'));
  t.not(await ask(gateway, { method: 'HEAD' }), 'evil');
  behaves(right);
  t.equal(await ask(gateway), 'whole');
});

t.test('what HTTP/2 allows, or what comes too late to matter, does no harm', async (t) => {
  const { gateway, behaves } = await setUp(t);
  for (const [name, behaviour] of Object.entries(HARMLESS)) {
    behaves(behaviour);
    for (let count = 0; count < 3; count++) t.equal(await ask(gateway), 'whole', name);
    behaves(right);
    t.equal(await ask(gateway), 'whole', 'the next request is served');
  }
});

t.test('rapid reset: every request fails by itself, and the next is served', async (t) => {
  const { gateway, behaves, state } = await setUp(t);
  behaves(says((id) => reset(id, 8)));
  const outcomes = await Promise.all(Array.from({ length: 200 }, () => ask(gateway)));
  t.ok(outcomes.every((outcome) => outcome === 502));
  t.equal(state.requests, 200);
  behaves(right);
  t.equal(await ask(gateway), 'whole');
});

/** The last stream of a client before this one. */
const before = (stream: number): number => Math.max(0, stream - 2);

t.test(
  'G3 a request that the upstream has not looked at is sent once more, a POST with its body, too',
  async (t) => {
    const { gateway, upstream, behaves, state } = await setUp(t);
    const refusals: Record<string, Behaviour> = {
      REFUSED_STREAM: says((id) => reset(id, 7)),
      'GOAWAY 0': says((id) => goAway(before(id), 0)),
      'GOAWAY 2': says((id) => goAway(before(id), 2)),
    };
    for (const [name, refuse] of Object.entries(refusals)) {
      for (const init of [{}, { method: 'POST' }, { method: 'POST', body: 'small' }]) {
        const received: Buffer[] = [];
        let first: RawHttp2Connection | undefined;
        behaves((connection, stream) => {
          first ??= connection;
          if (state.requests === 1) refuse(connection, stream);
          else {
            t.not(connection, first, 'on another connection');
            void until(() =>
              connection.frames.some((each) => each.stream === stream && (each.flags & END_STREAM) !== 0),
            ).then(() => {
              received.push(
                ...connection.frames
                  .filter((each) => each.stream === stream && each.type === FRAME.data)
                  .map(({ payload }) => payload),
              );
              right(connection, stream);
            });
          }
        });
        t.equal(await ask(gateway, init), 'whole', `${name} ${JSON.stringify(init)}`);
        t.equal(state.requests, 2);
        t.equal(Buffer.concat(received).toString(), 'body' in init ? 'small' : '');
        behaves(refuse);
        t.equal(await ask(gateway, init), 502, 'once, and no more');
        t.equal(state.requests, 2);
        behaves(right);
        t.equal(await ask(gateway), 'whole');
      }
    }
    t.ok(upstream.connections.length > 3);
    t.ok((await gateway.metric('sallyport_upstream_retries_total{upstream="u"}')) > 0);
  },
);

t.test('a refused POST whose large body was sent is 502', async (t) => {
  const { gateway, behaves, state } = await setUp(t);
  const size = 300 * 1024;
  behaves((connection, stream) => {
    connection.send(
      frame(FRAME.windowUpdate, 0, 0, uint32(size)),
      frame(FRAME.windowUpdate, 0, stream, uint32(size)),
    );
    void until(() =>
      connection.frames.some((each) => each.stream === stream && (each.flags & END_STREAM) !== 0),
    ).then(() => connection.send(reset(stream, 7)));
  });
  t.equal(await ask(gateway, { method: 'POST', body: Buffer.alloc(size) }), 502);
  t.equal(state.requests, 1);
  behaves(right);
  t.equal(await ask(gateway), 'whole');
});

t.test(
  'a peer that allows no streams gets none: 504; once it allows them, the requests that wait are served',
  async (t) => {
    const upstream = await startRawHttp2Upstream(
      t,
      (connection, { type, stream }) => {
        if (type === FRAME.headers) right(connection, stream);
      },
      setting(3, 0),
    );
    const gateway = await startGateway(t, {
      routes: [
        { name: 'r', match: {}, upstream: 'u', auth: { mode: 'none' }, timeouts: { response: '1s' } },
        { name: 'p', match: { path_prefix: '/patient' }, upstream: 'u', auth: { mode: 'none' } },
      ],
      upstreams: { u: { targets: [upstream.url] } },
    });
    t.strictSame(await Promise.all([1, 2, 3].map(() => ask(gateway))), [504, 504, 504]);
    t.equal(upstream.connections.length, 1, 'another connection would be of no use');
    const waiting = fetch(`${gateway.url}/patient`);
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 1);
    upstream.connections[0]?.send(frame(FRAME.settings, 0, 0, setting(3, 1)));
    t.equal(await (await waiting).text(), 'right');
  },
);

t.test(
  'G4 a peer that ends every connection before the first request: 502, not a storm of connections',
  async (t) => {
    const upstream = await startRawHttp2Upstream(t, (connection, { type }) => {
      if (type === FRAME.settings) connection.send(goAway(0, 0));
    });
    const gateway = await startGateway(t, {
      routes: [{ name: 'r', match: {}, upstream: 'u', auth: { mode: 'none' }, retries: { attempts: 0 } }],
      upstreams: { u: { targets: [upstream.url] } },
    });
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => ask(gateway)));
    t.ok(
      outcomes.every((outcome) => outcome === 502),
      outcomes.join(' '),
    );
    t.ok(upstream.connections.length <= 40, String(upstream.connections.length));
  },
);

t.test(
  'GOAWAY drains: what is open ends in order, what is new goes to another connection, and the old one is closed',
  async (t) => {
    const { gateway, upstream, behaves } = await setUp(t);
    behaves(
      says(
        (id) => headers(id, OK),
        (id) => data(id, 'ri'),
      ),
    );
    const open = ask(gateway);
    await until(() => (upstream.connections[0]?.streams.length ?? 0) === 1);
    const [old] = upstream.connections;
    old?.send(goAway(1, 0));
    behaves(right);
    await until(async () => {
      await ask(gateway);
      return upstream.connections.length === 2;
    });
    t.equal(await ask(gateway), 'whole');
    t.equal(upstream.connections.length, 2);
    t.notOk(old?.socket.destroyed);
    old?.send(data(1, 'ght', END_STREAM));
    t.equal(await open, 'whole');
    await until(() => old?.socket.destroyed === true || old?.socket.readableEnded === true);
  },
);

t.test('servers of another protocol', async (t) => {
  const folder = temporaryFolder(t);
  const http = await startServer(t, (_, response) => void response.end('evil'));
  const mute = await startRawUpstream(t, () => undefined);
  const h2c = await startHttp2Upstream(t);
  const targets: Record<string, [string, number]> = {
    'HTTP/1.1 behind h2c://': [http.replace('http:', 'h2c:'), 502],
    'silence behind h2c://': [mute.url.replace('http:', 'h2c:'), 504],
    'silence behind h2://': [mute.url.replace('http:', 'h2:'), 504],
    'HTTP/2 without TLS behind h2://': [h2c.url.replace('h2c:', 'h2:'), 502],
    'no server behind h2c://': ['h2c://127.0.0.1:1', 502],
  };
  if (noOpenssl === false) {
    const { cert, key } = certificateAuthority(folder).issue('server', 'IP:127.0.0.1');
    const options = { cert: readFileSync(cert), key: readFileSync(key) };
    for (const ALPNProtocols of [['http/1.1'], []]) {
      const server = createTlsServer(
        { ...options, ALPNProtocols },
        (_, response) => void response.end('evil'),
      );
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.teardown(() => {
        server.closeAllConnections();
        server.close();
      });
      const { port } = server.address() as AddressInfo;
      targets[`TLS with ALPN ${String(ALPNProtocols)} behind h2://`] = [`h2://127.0.0.1:${port}`, 502];
      targets[`TLS with ALPN ${String(ALPNProtocols)} behind h2c://`] = [`h2c://127.0.0.1:${port}`, 502];
    }
  }
  for (const [name, [url, expected]] of Object.entries(targets)) {
    const gateway = await startGateway(
      t,
      {
        routes: [{ name: 'r', match: {}, upstream: 'u', auth: { mode: 'none' }, retries: { attempts: 0 } }],
        upstreams: {
          u: {
            targets: [url],
            connect_timeout: '1s',
            ...(url.startsWith('h2:') && noOpenssl === false && { tls: { ca_file: 'ca.crt' } }),
          },
        },
      },
      { folder },
    );
    t.strictSame(
      await Promise.all([ask(gateway), ask(gateway), ask(gateway)]),
      [expected, expected, expected],
      name,
    );
  }
});
