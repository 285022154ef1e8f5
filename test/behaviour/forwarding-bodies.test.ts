/** Large request bodies. Rules H16, H18. */
import t from 'tap';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { type AddressInfo } from 'node:net';
import { send, sendRaw, statuses } from '../support/client.ts';
import { CLOSED, OPEN } from '../support/forwarding.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { memoryOf, startGatewayProcess } from '../support/process.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey();
const issuers = { login: loginIssuer(key) };

t.test('a binary upload of 100 MiB', async (t) => {
  const MIB = 1024 * 1024;
  let bytes = 0;
  const server = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('end', () => response.end(String(bytes)));
    request.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const gateway = await startGatewayProcess(t, {
    issuers,
    routes: [CLOSED],
    upstreams: { u: { targets: [`http://127.0.0.1:${port}`] } },
  });

  const upload = async (token: string): Promise<{ status: number; sent: number; body: string }> => {
    const request = httpRequest(`${gateway.url}/api/photos/upload`, {
      method: 'POST',
      agent: false,
      headers: { authorization: `Bearer ${token}`, 'content-length': 100 * MIB },
    });
    let sent = 0;
    let responded = false;
    request.on('error', () => undefined);
    const received = once(request, 'response') as Promise<[IncomingMessage]>;
    void received.then(() => (responded = true));
    const chunk = Buffer.alloc(MIB, 7);
    while (sent < 100 * MIB && !responded && !request.destroyed) {
      sent += MIB;
      if (!request.write(chunk)) await Promise.race([once(request, 'drain'), received]);
    }
    if (!responded) request.end();
    const [response] = await received;
    let body = '';
    for await (const part of response as AsyncIterable<Buffer>) body += part.toString();
    return { status: response.statusCode ?? 0, sent, body };
  };

  t.test('passes whole with a valid token, and is never held in memory', async (t) => {
    // The first request loads code and grows the young generation; what counts is what an upload adds.
    await send(gateway.url, '/', { method: 'POST', token: mint(key), body: Buffer.alloc(8 * MIB) });
    bytes = 0;
    const before = memoryOf(gateway.pid).now;
    t.match(await upload(mint(key)), { status: 200, body: String(100 * MIB) });
    const growth = memoryOf(gateway.pid).peak - before;
    t.ok(growth <= 32 * MIB, `the process grew by ${(growth / MIB).toFixed(1)} MiB`);
  });

  t.test('H16 is refused without one, before its body is read', async (t) => {
    bytes = 0;
    const { status, sent } = await upload('bad');
    t.equal(status, 401);
    t.ok(sent < 100 * MIB, `${sent / MIB} MiB were sent`);
    t.equal(bytes, 0, 'the upstream saw nothing');
  });
});

t.test('H18 a body beyond the limit: 413, by its length or by its bytes', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    limits: { body_bytes: '1KiB' },
    routes: [OPEN],
    upstreams: { u: { targets: [upstream.url] } },
  });
  t.equal((await send(gateway.url, '/open', { method: 'POST', body: 'x'.repeat(1025) })).status, 413);
  const chunk = `400\r\n${'x'.repeat(1024)}\r\n`;
  const received = await sendRaw(
    gateway.port,
    `POST /open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}${chunk}0\r\n\r\n`,
  );
  t.strictSame(statuses(received), [413]);
  t.equal(upstream.seen.length, 0);
  t.equal((await send(gateway.url, '/open', { method: 'POST', body: 'x'.repeat(1024) })).status, 200);
});
