/** Resets pass through the gateway both ways, with a code that means the same on the other side. Rules H10, H15, G3. */
import { constants } from 'node:http2';
import t from 'tap';
import { noOpenssl } from '../support/certificates.ts';
import { OPEN } from '../support/forwarding.ts';
import { startGateway, until } from '../support/gateway.ts';
import { callUnary, key, startGrpc, withToken } from '../support/grpc.ts';
import { responseOf, startHttp2 } from '../support/http2.ts';
import { startHttp2Server, startRawHttp2Upstream } from '../support/http2-upstream.ts';
import { block, END_HEADERS, FRAME, frame, uint32 } from '../support/raw-http2.ts';
import { mint } from '../support/tokens.ts';

const {
  NGHTTP2_INTERNAL_ERROR: INTERNAL_ERROR,
  NGHTTP2_REFUSED_STREAM: REFUSED_STREAM,
  NGHTTP2_CANCEL: CANCEL,
  NGHTTP2_ENHANCE_YOUR_CALM: ENHANCE_YOUR_CALM,
} = constants;
/** 12: INADEQUATE_SECURITY, 13: HTTP_1_1_REQUIRED, 99: none that is known. */
const CODES = [0, 1, 2, 3, 5, 7, 8, 9, 11, 12, 13, 99];
const reset = (stream: number, code: number): Buffer => frame(FRAME.resetStream, 0, stream, uint32(code));
const headers = (stream: number, status: string): Buffer =>
  frame(FRAME.headers, END_HEADERS, stream, block(':status', status));

/** Resets each stream with the code, behind these frames. */
async function startResetting(t: Parameters<typeof startRawHttp2Upstream>[0]) {
  const says = { code: 0, before: (_stream: number): Buffer[] => [] };
  const state = { requests: 0 };
  const upstream = await startRawHttp2Upstream(t, (connection, { type, stream }) => {
    if (type !== FRAME.headers) return;
    state.requests++;
    connection.send(...says.before(stream), reset(stream, says.code));
  });
  return { upstream, says, state };
}

t.test(
  'a reset in place of a response reaches the client with its code where that means the same; else it is 502',
  { skip: noOpenssl },
  async (t) => {
    const { upstream, says, state } = await startResetting(t);
    const { send, gateway } = await startHttp2(t, { upstreamUrl: upstream.url });
    for (const code of CODES) {
      for (const method of ['GET', 'POST']) {
        says.code = code;
        state.requests = 0;
        const response = await send({ ':method': method, ':path': '/' });
        if ([INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM].includes(code))
          t.match(response, { status: 0, rstCode: code }, `${method} ${code}`);
        else t.match(response, { status: 502, code: 'upstream_reset', rstCode: 0 }, `${method} ${code}`);
        t.equal(state.requests, code === REFUSED_STREAM ? 2 : 1, 'H10 G3: only a refused one is sent again');
      }
    }
    await until(
      () => gateway.log.filter(({ error }) => error === 'upstream_reset').length === 2 * CODES.length,
    );
    t.equal(await gateway.metric('sallyport_requests_in_flight'), 0);
  },
);

t.test(
  'H15 a reset within a response reaches the client as a reset, never as NO_ERROR or as refused',
  { skip: noOpenssl },
  async (t) => {
    const { upstream, says } = await startResetting(t);
    const { send } = await startHttp2(t, { upstreamUrl: upstream.url });
    const part = (stream: number): Buffer => frame(FRAME.data, 0, stream, Buffer.from('part'));
    for (const code of CODES) {
      says.code = code;
      for (const before of [
        (stream: number) => [headers(stream, '200')],
        (stream: number) => [headers(stream, '200'), part(stream)],
      ]) {
        says.before = before;
        const response = await send({ ':path': '/' });
        const same = [INTERNAL_ERROR, CANCEL, ENHANCE_YOUR_CALM].includes(code);
        t.equal(response.rstCode, same ? code : INTERNAL_ERROR, String(code));
        t.not(response.status, 502);
      }
      says.before = (stream) => [headers(stream, '103')];
      const hinted = await send({ ':path': '/' });
      t.not(hinted.rstCode, REFUSED_STREAM, 'what has hinted has looked at the request');
    }
  },
);

t.test('a client of HTTP/1.1 gets 502, or a message that is not whole', async (t) => {
  const { upstream, says } = await startResetting(t);
  const gateway = await startGateway(t, { routes: [OPEN], upstreams: { u: { targets: [upstream.url] } } });
  for (const code of [REFUSED_STREAM, CANCEL]) {
    says.code = code;
    says.before = () => [];
    t.equal((await fetch(`${gateway.url}/open`)).status, 502);
    says.before = (stream) => [headers(stream, '200')];
    await t.rejects(fetch(`${gateway.url}/open`).then((response) => response.text()));
  }
});

t.test(
  'a client that resets its stream, with whatever code, cancels that of the upstream',
  { skip: noOpenssl },
  async (t) => {
    const codes: number[] = [];
    const upstream = await startHttp2Server(t, ({ stream, url }, response) => {
      stream.on('close', () => codes.push(stream.rstCode ?? -1));
      if (url === '/part') response.write('part');
    });
    const { session, token } = await startHttp2(t, { upstreamUrl: upstream.url });
    for (const code of [1, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM]) {
      for (const path of ['/none', '/part']) {
        codes.length = 0;
        const opened = upstream.requests;
        const stream = session.request({ ':path': path, authorization: `Bearer ${token}` });
        const closed = responseOf(stream);
        if (path === '/part') await new Promise((resolve) => stream.once('data', resolve));
        else await until(() => upstream.requests > opened);
        stream.close(code);
        await closed;
        await until(() => codes.length === 1);
        t.strictSame(codes, [CANCEL], `${path} ${code}`);
      }
    }
    t.equal(upstream.opened, 1, 'the connection serves on');
  },
);

t.test(
  'a call of gRPC that is reset ends with the status that its client would make of the reset',
  { skip: noOpenssl },
  async (t) => {
    const { upstream, says } = await startResetting(t);
    const { client } = await startGrpc(t, {}, upstream.url);
    const statuses = new Map([
      [REFUSED_STREAM, 14],
      [CANCEL, 1],
      [ENHANCE_YOUR_CALM, 8],
    ]);
    for (const code of CODES) {
      says.code = code;
      const called = await callUnary(client, '/test.Echo/unary', withToken(mint(key)), 'x');
      t.equal(called.code, statuses.get(code) ?? 13, String(code));
      t.match(called.metadata.get('x-request-id'), [/./], 'it has only trailers');
    }
  },
);
