/** Why http-proxy is not in the request path: what it does with a request that the gateway frames rightly. C20. */
import t from 'tap';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import httpProxy from 'http-proxy';
import { sendRaw } from '../support/client.ts';
import { startGateway, until } from '../support/gateway.ts';
import { startRawUpstream } from '../support/upstream.ts';

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
const CHUNKED_DELETE = `DELETE /c20 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`;

t.test('a chunked DELETE', async (t) => {
  const upstream = await startRawUpstream(t, () => undefined);

  t.test(
    'http-proxy 1.18.1 announces no body and sends one: the upstream reads a second request',
    async (t) => {
      const proxy = httpProxy.createProxyServer({ target: upstream.url });
      const server = createServer((request, response) =>
        proxy.web(request, response, {}, () => response.destroy()),
      );
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.teardown(() => {
        server.closeAllConnections();
        server.close();
        proxy.close();
      });
      void sendRaw((server.address() as AddressInfo).port, CHUNKED_DELETE);
      await until(() => upstream.connections.at(-1)?.includes('/smuggled') === true);
      t.match(upstream.connections.at(-1), /content-length: 0\r\n[^]*\r\n\r\n[^]*GET \/smuggled/i);
      t.notMatch(upstream.connections.at(-1), /transfer-encoding/i);
    },
  );

  t.test('the gateway sends the body as a body', async (t) => {
    const gateway = await startGateway(t, {
      routes: [
        {
          name: 'open',
          match: { path_prefix: '/' },
          upstream: 'u',
          auth: { mode: 'none' },
          timeouts: { response: '1s' },
        },
      ],
      upstreams: { u: { targets: [upstream.url] } },
    });
    void sendRaw(gateway.port, CHUNKED_DELETE);
    await until(() => upstream.connections.at(-1)?.endsWith('\r\n0\r\n\r\n') === true);
    t.match(upstream.connections.at(-1), /\r\ntransfer-encoding: chunked\r\n/i);
    t.ok(
      upstream.connections
        .at(-1)
        ?.endsWith(`\r\n\r\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`),
    );
  });
});
