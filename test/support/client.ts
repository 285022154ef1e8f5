/** Clients: one that sends a request and returns the parsed response, and one that sends raw bytes. */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';

export interface Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly problem: { code?: string; status?: number; type?: string; title?: string };
}

export interface SendOptions {
  readonly method?: string;
  readonly token?: string;
  /** Names and values in turn, sent unchanged. */
  readonly headers?: readonly string[];
  readonly body?: string | Buffer;
}

/** Sends one request on a new connection. */
export async function send(base: string, path: string, options: SendOptions = {}): Promise<Response> {
  const { method = 'GET', token, headers = [], body } = options;
  const url = new URL(base);
  const request = httpRequest({
    host: url.hostname,
    port: url.port,
    method,
    path,
    agent: false,
    headers: [
      ...(headers.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
        ? []
        : ['host', url.host]),
      ...(token === undefined ? [] : ['authorization', `Bearer ${token}`]),
      ...(body === undefined ? [] : ['content-length', String(Buffer.byteLength(body))]),
      ...headers,
    ],
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) text += chunk;
  // Rule A5, for the whole test run.
  if (text.includes('urn:sallyport:problem') && /eyJ[\w-]{8,}\.[\w-]{8,}/.test(text))
    throw new Error('A5: the text of a token is in a refusal');
  const isProblem = response.headers['content-type'] === 'application/problem+json' && text !== '';
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    body: text,
    problem: isProblem ? (JSON.parse(text) as Response['problem']) : {},
  };
}

/** Sends bytes and returns all bytes received until the server closes, or until `enough` returns true. */
export async function sendRaw(
  port: number,
  bytes: string | Buffer | readonly (string | Buffer)[],
  enough: (received: string) => boolean = () => false,
): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  const { promise, resolve } = Promise.withResolvers<string>();
  const done = (): void => {
    socket.destroy();
    resolve(received);
  };
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    if (enough(received)) done();
  });
  socket.on('error', done);
  socket.on('end', done);
  socket.on('close', done);
  for (const part of Array.isArray(bytes)
    ? (bytes as readonly (string | Buffer)[])
    : [bytes as string | Buffer]) {
    socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
  }
  return promise;
}

/** The status codes of all responses in a stream of bytes. */
export function statuses(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}
