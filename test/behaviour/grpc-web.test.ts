/** gRPC-Web through the gateway, over HTTP/1.1 and HTTP/2, and what an upstream sees of gRPC's own fields. Rules B5, G5. */
import { connect, type IncomingHttpHeaders } from 'node:http2';
import t, { type Test } from 'tap';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { startHttp2Upstream } from '../support/http2-upstream.ts';
import { responseOf } from '../support/http2.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const authorization = `Bearer ${mint(key)}`;
const PAGE = 'https://shop.example.com';
const PATH = '/test.Echo/unary';
const TYPES = [
  'application/grpc-web',
  'application/grpc-web+proto',
  'application/grpc-web-text',
  'application/grpc-web-text+proto',
];
/** A message, then the trailers as gRPC-Web has them: in a frame of the body. */
const REQUEST = '\0\0\0\0\x02hi';
const RESPONSE = '\0\0\0\0\x02ok\x80\0\0\0\x0fgrpc-status:0\r\n';

/** As the clients of the tests decode it. */
const SHOWN = Buffer.from(RESPONSE, 'latin1').toString();

interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function start(t: Test, target: string) {
  const gateway = await startGateway(t, {
    listeners: [{ host: '127.0.0.1', port: 0, protocols: ['h2c', 'http/1.1'] }],
    issuers: { login: loginIssuer(key) },
    timeouts: { drain: '100ms' },
    routes: [
      {
        name: 'all',
        match: {},
        upstream: 'u',
        cors: {
          origins: [PAGE],
          methods: ['POST'],
          headers: ['authorization', 'content-type', 'x-grpc-web', 'x-user-agent'],
          expose_headers: ['grpc-status', 'grpc-message'],
        },
      },
    ],
    upstreams: { u: { targets: [target] } },
  });
  const session = connect(gateway.url);
  t.teardown(() => session.destroy());
  const http2 = async (method: string, headers: Record<string, string>, body?: string): Promise<Received> => {
    const options = { endStream: body === undefined };
    const stream = session.request({ ':method': method, ':path': PATH, ...headers }, options);
    return responseOf(stream, body && Buffer.from(body, 'latin1'));
  };
  const http1 = async (method: string, headers: Record<string, string>, body?: string): Promise<Received> =>
    send(gateway.url, PATH, {
      method,
      headers: Object.entries(headers).flat(),
      ...(body !== undefined && { body: Buffer.from(body, 'latin1') }),
    });
  return { http1, http2 };
}

t.test('gRPC-Web passes in both protocols, and its refusals are headers', async (t) => {
  const upstream = await startUpstream(t, (request, response) => {
    response.setHeader('content-type', request.headers['content-type'] ?? '');
    response.end(Buffer.from(RESPONSE, 'latin1'));
  });
  const { http1, http2 } = await start(t, upstream.url);
  for (const [name, ask] of Object.entries({ http1, http2 })) {
    for (const type of TYPES) {
      const fields = { 'content-type': type, origin: PAGE, 'x-grpc-web': '1' };
      upstream.seen.length = 0;
      const refused = await ask('POST', fields, REQUEST);
      t.match(
        refused,
        {
          status: 200,
          headers: { 'content-type': type, 'grpc-status': '16', 'www-authenticate': /^Bearer/ },
          body: '',
        },
        `${name} ${type}`,
      );
      t.match(refused.headers['access-control-expose-headers'], /grpc-status, grpc-message/);
      t.equal(refused.headers['access-control-allow-origin'], PAGE);
      t.strictSame(upstream.seen, [], 'the upstream saw nothing');
      const passed = await ask('POST', { ...fields, authorization }, REQUEST);
      t.match(passed, { status: 200, headers: { 'content-type': type }, body: SHOWN });
      t.match(upstream.seen, [{ body: REQUEST, headers: { 'content-type': type, 'x-grpc-web': '1' } }]);
    }
    const preflight = await ask('OPTIONS', {
      origin: PAGE,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,x-grpc-web',
    });
    t.match(preflight, {
      status: 204,
      headers: {
        'access-control-allow-origin': PAGE,
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers': /x-grpc-web/,
      },
    });
  }
});

t.test('an upstream of gRPC sees te, grpc-timeout and the encodings as they came', async (t) => {
  const upstream = await startHttp2Upstream(t);
  const { http2 } = await start(t, upstream.url);
  const fields = {
    'content-type': 'application/grpc+proto',
    'grpc-timeout': '1500m',
    'grpc-encoding': 'gzip',
    'grpc-accept-encoding': 'gzip,identity',
    'x-key-bin': 'AMj/',
  };
  t.equal((await http2('POST', { ...fields, te: 'trailers', authorization }, REQUEST)).status, 200);
  t.match(upstream.seen[0]?.headers, { ...fields, te: 'trailers' });
  t.equal(upstream.seen[0]?.headers.authorization, undefined);
  t.equal((await http2('POST', { ...fields, authorization }, REQUEST)).status, 200);
  t.equal(
    upstream.seen[1]?.headers['te'],
    'trailers',
    'gRPC over HTTP/2 has it, whether its client sent it or not',
  );
});
