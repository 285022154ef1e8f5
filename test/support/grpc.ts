/** A gRPC server with every type of call, a gateway with TLS in front of it, and a client. Messages are bytes as they are: no .proto files. */
import { readFileSync } from 'node:fs';
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ServerDuplexStream,
  type ServerOptions,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type ServiceError,
} from '@grpc/grpc-js';
import type { Test } from 'tap';
import { certificateAuthority } from './certificates.ts';
import { loginIssuer, startGateway, type TestGateway } from './gateway.ts';
import { temporaryFolder } from './process.ts';
import { createKey } from './tokens.ts';

export const key = createKey('EdDSA');
export const same = (bytes: Buffer): Buffer => bytes;
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
});
const SERVICE = {
  unary: method('unary', false, false),
  up: method('up', true, false),
  down: method('down', false, true),
  both: method('both', true, true),
  fails: method('fails', false, false),
  never: method('never', false, false),
};

export interface GrpcScene {
  readonly gateway: TestGateway;
  readonly client: Client;
  /** Metadata of each call that the server saw. */
  readonly seen: Metadata[];
  /** Calls whose client has gone. */
  readonly cancelled: string[];
}

/** The server alone, without TLS; its target. */
export async function startGrpcServer(
  t: Test,
  seen: Metadata[] = [],
  cancelled: string[] = [],
  options: ServerOptions = {},
): Promise<string> {
  const server = new Server(options);
  server.addService(SERVICE, implementation(seen, cancelled));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
    error ? reject(error) : resolve(port),
  );
  const port = await promise;
  t.teardown(() => server.forceShutdown());
  return `h2c://127.0.0.1:${port}`;
}

function implementation(seen: Metadata[], cancelled: string[]) {
  return {
    unary(call: ServerUnaryCall<Buffer, Buffer>, respond: sendUnaryData<Buffer>) {
      seen.push(call.metadata);
      const initial = new Metadata();
      initial.set('x-initial', 'i');
      call.sendMetadata(initial);
      const trailers = new Metadata();
      trailers.set('x-trailer-bin', Buffer.from([0, 1, 255]));
      for (const tag of call.metadata.get('x-echo-bin')) trailers.add('x-echo-bin', tag);
      respond(null, call.request, trailers);
    },
    up(call: ServerReadableStream<Buffer, Buffer>, respond: sendUnaryData<Buffer>) {
      const parts: Buffer[] = [];
      call.on('data', (part: Buffer) => parts.push(part));
      call.on('end', () => respond(null, Buffer.concat(parts)));
    },
    down(call: ServerWritableStream<Buffer, Buffer>) {
      for (const byte of call.request) call.write(Buffer.from([byte]));
      call.end();
    },
    both(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (part: Buffer) => call.write(part));
      call.on('end', () => call.end());
      call.on('cancelled', () => cancelled.push('both'));
    },
    fails(call: ServerUnaryCall<Buffer, Buffer>, respond: sendUnaryData<Buffer>) {
      seen.push(call.metadata);
      const metadata = new Metadata();
      metadata.set('x-why', 'because');
      respond({ code: status.FAILED_PRECONDITION, details: 'not now', metadata });
    },
    never(call: ServerUnaryCall<Buffer, Buffer>) {
      seen.push(call.metadata);
      call.on('cancelled', () => cancelled.push('never'));
    },
  };
}

export async function startGrpc(
  t: Test,
  more: Record<string, unknown> = {},
  target?: string,
): Promise<GrpcScene> {
  const seen: Metadata[] = [];
  const cancelled: string[] = [];
  const url = await startGrpcServer(t, seen, cancelled);
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1,DNS:localhost');
  const gateway = await startGateway(
    t,
    {
      listeners: [{ host: '127.0.0.1', port: 0, tls: { cert_file: 'server.crt', key_file: 'server.key' } }],
      issuers: { login: loginIssuer(key) },
      timeouts: { drain: '100ms' },
      routes: [
        { name: 'all', match: { path_prefix: '/test.Echo/' }, upstream: 'u' },
        {
          name: 'admin',
          match: { path_prefix: '/test.Admin/' },
          upstream: 'u',
          auth: { scopes: ['admin'] },
        },
      ],
      upstreams: { u: { targets: [target ?? url] } },
      ...more,
    },
    { folder },
  );
  const client = new Client(
    `127.0.0.1:${gateway.port}`,
    credentials.createSsl(readFileSync(authority.ca)),
    // grpc-js would send the address as SNI, which Node 26 refuses.
    { 'grpc.ssl_target_name_override': 'localhost' },
  );
  t.teardown(() => client.close());
  return { gateway, client, seen, cancelled };
}

export function withToken(token: string): Metadata {
  const metadata = new Metadata();
  if (token !== '') metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

export interface Called {
  readonly code: number;
  readonly body: string | undefined;
  readonly metadata: Metadata;
  readonly initial: Metadata | undefined;
}

/** A unary call. */
export function callUnary(
  client: Client,
  path: string,
  metadata: Metadata,
  body: string | Buffer,
  options: { deadline?: number } = {},
): Promise<Called> {
  const { promise, resolve } = Promise.withResolvers<Called>();
  let initial: Metadata | undefined;
  let response: Buffer | undefined;
  const call = client.makeUnaryRequest(
    path,
    same,
    same,
    Buffer.from(body as string),
    metadata,
    options,
    (_error: ServiceError | null, value?: Buffer) => (response = value),
  );
  call.on('metadata', (received: Metadata) => (initial = received));
  call.on('status', ({ code, metadata: trailers }) =>
    setImmediate(() => resolve({ code, body: response?.toString('latin1'), metadata: trailers, initial })),
  );
  return promise;
}

/** A call that streams both ways, or one of them; all messages that come, joined. */
export function callStream(
  client: Client,
  path: string,
  metadata: Metadata,
  parts: readonly Buffer[],
): Promise<Called> {
  const { promise, resolve } = Promise.withResolvers<Called>();
  const call = client.makeBidiStreamRequest(path, same, same, metadata);
  let body = '';
  call.on('data', (part: Buffer) => (body += part.toString('latin1')));
  call.on('error', () => undefined);
  call.on('status', ({ code, metadata: trailers }) =>
    setImmediate(() => resolve({ code, body, metadata: trailers, initial: undefined })),
  );
  for (const part of parts) call.write(part);
  call.end();
  return promise;
}
