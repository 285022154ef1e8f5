/**
 * The floor of gRPC: `node:http2` on both sides and nothing else: no check, no log, no metric, no time limit. Arguments: its port,
 * and the upstream's.
 */
import { connect, createServer, type ServerHttp2Stream } from 'node:http2';

const [port = '0', upstreamPort = '0'] = process.argv.slice(2);
const upstream = connect(`http://127.0.0.1:${upstreamPort}`, {
  settings: { enablePush: false, initialWindowSize: 1024 * 1024 },
});

function forward(stream: ServerHttp2Stream, headers: Record<string, string>): void {
  const call = upstream.request({ ...headers, ':authority': `127.0.0.1:${upstreamPort}` });
  let trailers: Record<string, string> = {};
  call.on('response', (head) => {
    // The load breaks off its last calls.
    if (stream.destroyed) return;
    stream.respond(
      { ':status': head[':status'], 'content-type': head['content-type'] },
      { waitForTrailers: true },
    );
  });
  call.on('trailers', (fields) => (trailers = fields as Record<string, string>));
  call.on('data', (chunk: Buffer) => stream.destroyed || stream.write(chunk));
  call.on('end', () => stream.end());
  call.on('error', () => stream.close());
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.on('data', (chunk: Buffer) => call.destroyed || call.write(chunk));
  stream.on('end', () => call.end());
  stream.on('error', () => call.close());
}

const server = createServer({ settings: { maxConcurrentStreams: 1_000, initialWindowSize: 1024 * 1024 } });
server.on('stream', (stream, headers) => forward(stream, headers as Record<string, string>));
server.on('sessionError', () => undefined);
server.listen(Number(port), '127.0.0.1');
