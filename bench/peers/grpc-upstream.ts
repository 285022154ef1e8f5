/**
 * A gRPC server for the benchmark: HTTP/2 without TLS, and the same response to every call. It notes calls below /counted/. Arguments:
 * the port, and the file for the notes.
 */
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http2';

/** A message of 32 bytes with the five bytes of gRPC before it: not compressed, its length. */
export const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 32]), Buffer.alloc(32, 'm')]);

if (import.meta.main) {
  const [port = '0', notes = ''] = process.argv.slice(2);
  const server = createServer({ settings: { maxConcurrentStreams: 1_000 } });
  server.on('stream', (stream, headers) => {
    const { ':path': path = '', authorization = '' } = headers;
    if (path.startsWith('/counted/')) {
      const call = { path, user: headers['x-user-id'], scopes: headers['x-scopes'], authorization };
      appendFileSync(notes, `${JSON.stringify(call)}\n`);
    }
    stream.on('error', () => undefined).resume();
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.end(MESSAGE);
    });
  });
  server.listen(Number(port), '127.0.0.1');
}
