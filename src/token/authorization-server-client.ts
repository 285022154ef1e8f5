/**
 * Calls to authorization servers, with caps on everything: time, size, redirects, encodings (rules K4, I7).
 */
import { Agent, buildConnector, request, type Dispatcher } from 'undici';
import { mediaTypeOf } from '../http/media-type.ts';

/** Larger than any key set or response about a token. */
const MAX_RESPONSE_BYTES = 1024 * 1024;

export interface AuthorizationServerRequest {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
}

export interface AuthorizationServerResponse {
  readonly status: number;
  /** In lower case, without parameters; empty where it is none. */
  readonly contentType: string;
  /** The Retry-After field (RFC 9110 section 10.2.3) as it came; empty where there is none. */
  readonly retryAfter: string;
  readonly body: Buffer;
}

/**
 * No complete response arrived in time. Any other error of a call means that a response arrived which is of no use:
 * the server is up, so that it is no outage (rule I11).
 */
export class NoResponse extends Error {
  override readonly name = 'NoResponse';
  /** No connection could be made: this cannot depend on what was to be sent. */
  readonly unreachable: boolean;
  /** Of the system or the HTTP client, such as ECONNREFUSED. */
  readonly code: string | undefined;

  constructor(unreachable: boolean, cause: unknown) {
    super(unreachable ? 'no connection could be made' : 'no complete response arrived', { cause });
    this.unreachable = unreachable;
    const code = cause instanceof Error ? errorCode(cause) : undefined;
    this.code = typeof code === 'string' ? code : undefined;
  }
}

/** Marks what went wrong before a request was sent. */
class NotConnected extends Error {}

const connector = buildConnector({ allowH2: false });
const connect: buildConnector.connector = (options, callback) => {
  connector(options, (...[error, socket]) => {
    if (error === null) callback(null, socket);
    else callback(new NotConnected(error.message, { cause: error }), null);
  });
};

/** One pool for all authorization servers; HTTP/1.1 only, redirects are responses like any other. */
export class AuthorizationServerClient {
  readonly #agent = new Agent({
    connect,
    // Many times what one client may use by default: calls that hang must not make those of others wait.
    connections: 128,
    pipelining: 1,
    maxResponseSize: MAX_RESPONSE_BYTES,
  });

  /**
   * @throws NoResponse when no complete response arrived in time; Error when one arrived that breaks the caps. The
   *         message holds no secret.
   */
  async send({
    url,
    method = 'GET',
    headers = {},
    body,
    timeoutMs,
  }: AuthorizationServerRequest): Promise<AuthorizationServerResponse> {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      return await this.#exchange({ url, method, headers, body, signal });
    } catch (error) {
      throw error instanceof Error ? asNoResponse(error) : error;
    }
  }

  async #exchange(asked: {
    readonly url: string;
    readonly method: 'GET' | 'POST';
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | undefined;
    readonly signal: AbortSignal;
  }): Promise<AuthorizationServerResponse> {
    const { url, method, headers, body, signal } = asked;
    const answer = await request(url, {
      dispatcher: this.#agent,
      method,
      // Compressed responses are not asked for: a small one could unpack to gigabytes.
      headers: { accept: 'application/json', 'accept-encoding': 'identity', ...headers },
      body: body ?? null,
      signal,
    });
    const encoding = single(answer.headers['content-encoding']);
    if (encoding !== '' && encoding !== 'identity') {
      await discard(answer.body);
      throw new UselessResponse('the response is compressed, which was not asked for');
    }
    return {
      status: answer.statusCode,
      contentType: mediaTypeOf([answer.headers['content-type'] ?? []].flat()),
      retryAfter: single(answer.headers['retry-after']),
      body: Buffer.from(await answer.body.arrayBuffer()),
    };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** A response arrived, and breaks a cap. */
class UselessResponse extends Error {}

function asNoResponse(error: Error): Error {
  const arrived = error instanceof UselessResponse || errorCode(error) === 'UND_ERR_RES_EXCEEDED_MAX_SIZE';
  if (arrived) return error;
  return error instanceof NotConnected ? new NoResponse(true, error.cause) : new NoResponse(false, error);
}

function errorCode(error: Error): unknown {
  return 'code' in error ? error.code : undefined;
}

function single(value: string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(',') : (value ?? '');
}

async function discard(body: Dispatcher.ResponseData['body']): Promise<void> {
  body.on('error', () => undefined).destroy();
}
