/** A gRPC server for the benchmark: HTTP/2 without TLS, and the same response to every call. Argument: the port. */
import { createServer } from 'node:http2';

/** A message of 32 bytes with the five bytes of gRPC before it: not compressed, its length. */
export const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 32]), Buffer.alloc(32, 'm')]);

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const server = createServer({ settings: { maxConcurrentStreams: 1_000 } });
  server.on('stream', (stream) => {
    stream.on('error', () => undefined).resume();
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.end(MESSAGE);
    });
  });
  server.listen(Number(process.argv[2]), '127.0.0.1');
}
