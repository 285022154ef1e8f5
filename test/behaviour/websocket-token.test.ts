/** A browser's WebSocket, which can send its token in no other header than Sec-WebSocket-Protocol. Rules H12, B2, B9. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { IncomingMessage } from 'node:http';
import t from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';

const key = createKey('EdDSA');
const seen: IncomingMessage[] = [];
const echo = new WebSocketServer({
  port: 0,
  host: '127.0.0.1',
  handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
});
await once(echo, 'listening');
t.teardown(() => {
  for (const client of echo.clients) client.terminate();
  echo.close();
});
echo.on('connection', (socket, request) => {
  seen.push(request);
  socket.on('message', (data: Buffer) => socket.send(data.toString()));
  socket.on('error', () => undefined);
});
const target = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`;
const gateway = await startGateway(t, {
  issuers: { login: loginIssuer(key) },
  timeouts: { drain: '100ms' },
  routes: [
    {
      name: 'browser',
      match: { path_prefix: '/' },
      upstream: 'u',
      auth: { websocket_protocol: true, scopes: ['orders:read'] },
      upgrade: ['websocket'],
    },
    { name: 'strict', match: { path_prefix: '/strict' }, upstream: 'u', upgrade: ['websocket'] },
    {
      name: 'optional',
      match: { path_prefix: '/optional' },
      upstream: 'u',
      auth: { mode: 'optional', websocket_protocol: true },
      upgrade: ['websocket'],
    },
  ],
  upstreams: { u: { targets: [target] } },
});
const token = mint(key);

interface Outcome {
  /** Of the handshake that failed. */
  readonly status?: number;
  readonly protocol?: string;
  readonly echoed?: string;
}

async function handshake(
  path: string,
  protocols: string[],
  headers: Record<string, string> = {},
): Promise<Outcome> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}${path}`, protocols, { headers });
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  socket.on('unexpected-response', (_request, response) => {
    response.resume();
    resolve({ status: response.statusCode ?? 0 });
  });
  socket.on('error', reject);
  socket.on('open', () => socket.send('hello'));
  socket.on('message', (data: Buffer) => {
    resolve({ protocol: socket.protocol, echoed: data.toString() });
    socket.close();
  });
  return promise;
}

t.test(
  'the token is taken from the protocols, and neither it nor "bearer" reaches the upstream',
  async (t) => {
    t.match(await handshake('/', ['bearer', token, 'chat']), { protocol: 'chat', echoed: 'hello' });
    t.equal(seen.at(-1)?.headers['sec-websocket-protocol'], 'chat');
    t.equal(seen.at(-1)?.headers['x-user-id'], 'alice');
    t.notMatch(JSON.stringify(seen.at(-1)?.rawHeaders), token);
    t.match(await handshake('/', ['v2', 'bearer', token]), { protocol: 'bearer', echoed: 'hello' });
    t.equal(seen.at(-1)?.headers['sec-websocket-protocol'], 'v2');
  },
);

t.test('where the upstream chooses no protocol, the browser is told "bearer"', async (t) => {
  t.match(await handshake('/', ['bearer', token]), { protocol: 'bearer', echoed: 'hello' });
  t.equal(seen.at(-1)?.headers['sec-websocket-protocol'], undefined);
});

t.test('Authorization goes on working', async (t) => {
  t.match(await handshake('/', ['chat'], { authorization: `Bearer ${token}` }), { protocol: 'chat' });
});

const refused: Record<
  string,
  [path: string, protocols: string[], headers: Record<string, string>, status: number]
> = {
  'no token': ['/', ['chat'], {}, 401],
  'a forged token': ['/', ['bearer', mint(createKey('EdDSA', key.kid))], {}, 401],
  'a token that lacks a scope': ['/', ['bearer', mint(key, claimsOf({ scope: 'x' }))], {}, 403],
  'B2 nothing behind "bearer"': ['/', ['bearer'], {}, 400],
  'B2 two tokens': ['/', [], { 'sec-websocket-protocol': `bearer, ${token}, bearer, ${token}` }, 400],
  'B9 a token in each place': ['/', ['bearer', token], { authorization: `Bearer ${token}` }, 400],
  'a token by protocol where the route does not allow it': ['/strict', ['bearer', token], {}, 401],
  'a bad token on an optional route': ['/optional', ['bearer', 'a.b.c'], {}, 401],
};
for (const [name, [path, protocols, headers, status]] of Object.entries(refused)) {
  t.test(`${name} is ${status}, and the upstream sees nothing`, async (t) => {
    const before = seen.length;
    t.match(await handshake(path, protocols, headers), { status });
    t.equal(seen.length, before);
  });
}

t.test('no client is anonymous on an optional route', async (t) => {
  t.match(await handshake('/optional', ['chat']), { protocol: 'chat' });
  t.equal(seen.at(-1)?.headers['x-user-id'], undefined);
});
