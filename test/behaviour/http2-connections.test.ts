/** The life of HTTP/2 connections (RFC 9113): cancelled streams, drain, deadlines, negotiation. Rule H19. */
import { once } from 'node:events';
import { constants } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { noOpenssl } from '../support/certificates.ts';
import { until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { responseOf, startHttp2 } from '../support/http2.ts';
import { END_HEADERS, END_STREAM, FRAME, frame, RawHttp2, requestBlock } from '../support/raw-http2.ts';
import { startServer } from '../support/upstream.ts';

t.test('HTTP/2 connections', { skip: noOpenssl }, async (t) => {
  t.test('a client that cancels its stream ends the upstream request', async (t) => {
    let left = 0;
    const url = await startServer(t, (request, response) => {
      response.on('close', () => left++);
      response.write('first');
      request.resume();
    });
    const { session, gateway } = await startHttp2(t, { upstreamUrl: url });
    const stream = session.request({ ':path': '/open' });
    stream.on('error', () => undefined);
    await once(stream, 'data');
    stream.close(constants.NGHTTP2_CANCEL);
    await until(() => left === 1);
    session.destroy();
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
  });

  t.test('a drain serves the requests in flight, then closes the connection', async (t) => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { session, gateway, token } = await startHttp2(t, {
      response: (_request, response) => void held.then(() => response.end('late')),
      more: { timeouts: { drain: '10s' } },
    });
    const response = responseOf(session.request({ authorization: `Bearer ${token}` }));
    await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 1);
    const stopping = gateway.stop();
    await once(session, 'goaway');
    release();
    t.equal((await response).body, 'late');
    await stopping;
    await until(() => session.destroyed);
  });

  t.test('H19 silent and idle connections are closed', async (t) => {
    const clock = new ManualClock();
    const { gateway, session, send } = await startHttp2(t, {
      more: { timeouts: { headers: '10m', idle: '20m' } },
      clock,
    });
    const silent = await RawHttp2.connect(t, gateway.port);
    const slow = await RawHttp2.connect(t, gateway.port);
    slow.send(frame(FRAME.headers, 0, 1, requestBlock('GET', '/open')));
    t.equal((await send({ ':path': '/open' })).status, 200);
    // The gateway has sent its SETTINGS: it knows them, and counts their time.
    await until(() => silent.of(0).length > 0 && slow.of(0).length > 0);
    clock.advance(600_000);
    await until(() => silent.closed && slow.closed);
    t.notOk(session.destroyed, 'a connection that has served a request stays');
    clock.advance(1_201_000);
    await until(() => session.destroyed);
  });

  t.test(
    'H19 a client that does not read its response is reset after timeouts.idle, and does not hold up a stop',
    async (t) => {
      const { gateway } = await startHttp2(t, {
        more: { timeouts: { idle: '1s', drain: '1s' } },
        response: (_request, response) => response.end(Buffer.alloc(100_000)),
      });
      // SETTINGS_INITIAL_WINDOW_SIZE 0: no byte of a response body can be sent.
      const closedWindow = Buffer.from([0, 4, 0, 0, 0, 0]);
      const refused = await RawHttp2.connect(t, gateway.port, closedWindow);
      refused.send(frame(FRAME.headers, END_HEADERS, 1, requestBlock('POST', '/nothing')));
      const lazy = await RawHttp2.connect(t, gateway.port, closedWindow);
      lazy.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, requestBlock('GET', '/open')));
      await until(() =>
        [refused, lazy].every((client) => client.of(1).some(({ type }) => type === FRAME.headers)),
      );
      await until(() =>
        [refused, lazy].every((client) => client.of(1).some(({ type }) => type === FRAME.resetStream)),
      );
      await until(async () => (await gateway.metric('sallyport_requests_in_flight')) === 0);
      // It neither reads nor closes: a stop must not wait for it.
      const deaf = await RawHttp2.connect(t, gateway.port);
      deaf.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, requestBlock('GET', '/nothing')));
      await until(() => deaf.of(1).length > 0);
      deaf.pause();
      await gateway.stop();
      t.pass('the gateway stops');
    },
  );

  t.test('a listener negotiates the protocols that it names, and speaks no other', async (t) => {
    const negotiated = async (port: number, ...ALPNProtocols: string[]): Promise<string | false | null> => {
      const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols });
      await once(socket, 'secureConnect');
      socket.destroy();
      return socket.alpnProtocol;
    };
    const speaking = (...protocols: string[]): Record<string, unknown> => ({
      listeners: [
        { host: '127.0.0.1', port: 0, protocols, tls: { cert_file: 'server.crt', key_file: 'server.key' } },
      ],
    });
    for (const options of [{ tls: { protocols: ['http/1.1'] } }, { more: speaking('http/1.1') }]) {
      const { gateway } = await startHttp2(t, options);
      t.equal(await negotiated(gateway.port, 'h2', 'http/1.1'), 'http/1.1');
    }
    const { gateway, send } = await startHttp2(t, { more: speaking('h2') });
    t.equal((await send({ ':path': '/open' })).status, 200);
    t.equal(await negotiated(gateway.port, 'http/1.1', 'h2'), 'h2');
    await t.rejects(negotiated(gateway.port, 'http/1.1'));
    const silent = connectTls({ host: '127.0.0.1', port: gateway.port, rejectUnauthorized: false });
    let received = '';
    silent.on('data', (chunk) => (received += String(chunk)));
    silent.on('error', () => undefined);
    silent.write('GET /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await once(silent, 'close');
    t.equal(received, '', 'a client that chooses nothing gets no HTTP/1.1');
  });
});
