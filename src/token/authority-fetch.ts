/**
 * Calls to authorization servers, with caps on everything: time, size, redirects, encodings (rules K4, I7).
 */
import { Agent, request, type Dispatcher } from 'undici';
import { mediaTypeOf } from '../http/media-type.ts';

/** Larger than any key set or answer about a token. */
const MAX_ANSWER_BYTES = 1024 * 1024;

export interface AuthorityRequest {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
}

export interface AuthorityAnswer {
  readonly status: number;
  /** In lower case, without parameters; empty where it is none. */
  readonly contentType: string;
  readonly body: Buffer;
}

/** One pool for all authorization servers; HTTP/1.1 only, redirects are answers like any other. */
export class AuthorityClient {
  readonly #agent = new Agent({
    allowH2: false,
    connections: 16,
    pipelining: 1,
    maxResponseSize: MAX_ANSWER_BYTES,
  });

  /** @throws Error when there is no complete answer within the caps. Its message holds no secret. */
  async send({
    url,
    method = 'GET',
    headers = {},
    body,
    timeoutMs,
  }: AuthorityRequest): Promise<AuthorityAnswer> {
    const signal = AbortSignal.timeout(timeoutMs);
    const answer = await request(url, {
      dispatcher: this.#agent,
      method,
      // Compressed answers are not asked for: a small one could unpack to gigabytes.
      headers: { accept: 'application/json', 'accept-encoding': 'identity', ...headers },
      body: body ?? null,
      signal,
    });
    const encoding = single(answer.headers['content-encoding']);
    if (encoding !== '' && encoding !== 'identity') {
      await discard(answer.body);
      throw new Error('the answer is compressed, which was not asked for');
    }
    return {
      status: answer.statusCode,
      contentType: mediaTypeOf([answer.headers['content-type'] ?? []].flat()),
      body: Buffer.from(await answer.body.arrayBuffer()),
    };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function single(value: string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(',') : (value ?? '');
}

async function discard(body: Dispatcher.ResponseData['body']): Promise<void> {
  body.on('error', () => undefined).destroy();
}
