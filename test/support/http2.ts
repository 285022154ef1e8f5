/** A gateway with TLS, an upstream, and an HTTP/2 client connected to the gateway. */
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2';
import { connect as connectTls } from 'node:tls';
import type { Test } from 'tap';
import { systemClock, type Clock } from '../../src/clock.ts';
import { certificateAuthority } from './certificates.ts';
import { loginIssuer, startGateway, type TestGateway } from './gateway.ts';
import { temporaryFolder } from './process.ts';
import { createKey, mint } from './tokens.ts';
import { startUpstream, type HttpUpstream } from './upstream.ts';

const key = createKey('EdDSA');
export const AUTHORITY = 'api.example.com';

export interface Http2Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly code: string | undefined;
  readonly trailers: IncomingHttpHeaders;
  readonly informational: IncomingHttpHeaders[];
  /** The code of RST_STREAM; 0: the stream ended in order. */
  readonly rstCode: number;
}

export interface Http2Environment {
  readonly gateway: TestGateway;
  readonly upstream: HttpUpstream;
  readonly session: ClientHttp2Session;
  readonly token: string;
  readonly send: (
    headers: Record<string, string | string[]>,
    body?: string | Buffer,
  ) => Promise<Http2Response>;
}

/** Routes: everything needs a token, but for /open. `upstreamUrl` replaces the upstream. */
export async function startHttp2(
  t: Test,
  {
    response,
    upstreamUrl,
    more = {},
    tls = {},
    clock = systemClock,
  }: {
    response?: RequestListener;
    upstreamUrl?: string;
    more?: Record<string, unknown>;
    tls?: Record<string, unknown>;
    clock?: Clock;
  } = {},
): Promise<Http2Environment> {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1', `DNS:${AUTHORITY}`);
  const upstream = await startUpstream(t, response);
  const gateway = await startGateway(
    t,
    {
      listeners: [
        { host: '127.0.0.1', port: 0, tls: { cert_file: 'server.crt', key_file: 'server.key', ...tls } },
      ],
      issuers: { login: loginIssuer(key) },
      timeouts: { drain: '1s' },
      routes: [
        { name: 'all', match: {}, upstream: 'u', rewrite: { host: 'preserve' } },
        { name: 'open', match: { path_prefix: '/open' }, upstream: 'u', auth: { mode: 'none' } },
      ],
      upstreams: { u: { targets: [upstreamUrl ?? upstream.url] } },
      ...more,
    },
    { folder, clock },
  );
  const token = mint(key);
  const session = connectSession(t, gateway.port, readFileSync(authority.ca));
  return {
    ...{ gateway, upstream, session },
    token,
    send: (headers, body) =>
      responseOf(
        session.request({ authorization: `Bearer ${token}`, ...headers }, { endStream: body === undefined }),
        body,
      ),
  };
}

function connectSession(t: Test, port: number, ca: Buffer): ClientHttp2Session {
  const session = connect(`https://${AUTHORITY}`, {
    createConnection: () =>
      connectTls({ host: '127.0.0.1', port, servername: AUTHORITY, ca, ALPNProtocols: ['h2'] }),
  });
  session.on('error', () => undefined);
  t.teardown(() => session.destroy());
  return session;
}

/** Sends the body, if any, and resolves when the stream is closed. */
export async function responseOf(stream: ClientHttp2Stream, body?: string | Buffer): Promise<Http2Response> {
  let headers: IncomingHttpHeaders = {};
  let rawHeaders: readonly string[] = [];
  let trailers: IncomingHttpHeaders = {};
  const informational: IncomingHttpHeaders[] = [];
  let text = '';
  stream.setEncoding('utf8');
  stream.on('response', (received, _flags, raw) => {
    headers = received;
    rawHeaders = raw;
  });
  stream.on('headers', (received) => informational.push(received));
  stream.on('trailers', (received) => (trailers = received));
  stream.on('data', (chunk: string) => (text += chunk));
  stream.on('error', () => undefined);
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  stream.on('close', () => close());
  if (body !== undefined) stream.end(body);
  await closed;
  const isProblem = headers['content-type'] === 'application/problem+json' && text !== '';
  return {
    status: Number(headers[':status'] ?? 0),
    headers,
    rawHeaders,
    body: text,
    code: isProblem ? (JSON.parse(text) as { code: string }).code : undefined,
    trailers,
    informational,
    rstCode: stream.rstCode ?? 0,
  };
}
