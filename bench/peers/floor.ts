/**
 * The floor: `node:http` and Sallyport's own upstream client, and nothing else: no check, no log, no metric. Arguments: its port, the
 * upstream's, and the status of its responses; with 401 it refuses all requests itself.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { systemClock } from '../../src/clock.ts';
import type { ResponseHead } from '../../src/http/response-head.ts';
import { ConnectionPool } from '../../src/upstream/connection-pool.ts';
import { Deadlines } from '../../src/upstream/deadlines.ts';
import type { LinkUser, UpstreamLink, Waiter } from '../../src/upstream/upstream-link.ts';

const [port = '0', upstreamPort = '0', status = '200'] = process.argv.slice(2);
const host = `127.0.0.1:${upstreamPort}`;
const pool = new ConnectionPool(
  {
    endpoint: { origin: new URL(`http://${host}`) },
    attempts: { reached: () => undefined, unreached: () => undefined },
    tls: {},
    connections: 128,
    streams: 1,
    sensitive: [],
    connectTimeoutMs: 5_000,
  },
  new Deadlines(systemClock),
);

/** The load sends GET requests only, and responses are small. */
class Exchange implements Waiter, LinkUser {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #body = '';

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  connected(link: UpstreamLink): void {
    const { url = '/', rawHeaders } = this.#request;
    const outbound = {
      method: 'GET',
      target: url,
      headers: withoutHost(rawHeaders),
      hasBody: false,
      contentLength: undefined,
      upgrade: undefined,
    };
    link.send({ outbound, host, body: undefined, replay: [] }, this);
  }

  begin(head: ResponseHead): void {
    this.#response.writeHead(head.status, [...head.headers]);
  }

  data(chunk: Buffer): void {
    this.#body += chunk.toString('latin1');
  }

  end(): void {
    this.#response.end(this.#body, 'latin1');
  }

  failed(error: Error): void {
    this.unconnected(error);
  }

  unconnected(error: Error): void {
    console.error(error.message);
    this.#response.destroy();
  }

  informational(): void {}
  switched(): void {}
  uploading(): void {}
  uploaded(): void {}
  received(): void {}
}

function withoutHost(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at] !== 'Host') kept.push(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
  return kept;
}

const refusal = Number(status);
createServer((request, response) => {
  if (refusal === 200) pool.acquire(new Exchange(request, response));
  else response.writeHead(refusal).end();
}).listen(Number(port), '127.0.0.1');
