/**
 * Calls from the gateway to one transmitter, with its own token: polls, and the management of streams. Capped as all calls to
 * authorization servers are (src/token/authorization-server-client.ts). I/O. OpenID SSF 1.0 section 9, RFC 6750.
 *
 * Nothing is sent to an origin that the configuration does not name: what a transmitter says of itself may neither carry the
 * gateway's token elsewhere, nor make the gateway call something inside its own network.
 */
import type { Clock } from '../clock.ts';
import { isAnyJson } from '../http/media-type.ts';
import { retryAfterSeconds } from '../http/retry-after.ts';
import {
  NoResponse,
  ResponseTooLarge,
  type AuthorizationServerClient,
  type AuthorizationServerResponse,
} from '../token/authorization-server-client.ts';
import type { JsonValue } from '../token/claims.ts';
import { TokenFileError } from '../token/server-access.ts';
import { parseStrictJson } from '../token/strict-json.ts';
import type { ClientCredentialsToken } from './client-credentials.ts';
import { TransmitterError } from './transmitter-error.ts';

export interface TransmitterCallsParts {
  /** That reaches the servers of this transmitter, and sends the token of a file where there is one. */
  readonly client: AuthorizationServerClient;
  /** Those that the configuration names. */
  readonly origins: readonly string[];
  /** Undefined: the client sends the token of a file, or there is none. */
  readonly tokens: ClientCredentialsToken | undefined;
  readonly clock: Clock;
}

export interface TransmitterCall {
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly url: string;
  /** JSON; undefined: the request has no content. */
  readonly body?: string;
  readonly timeoutMs: number;
  /** false: the document is public. */
  readonly withToken?: boolean;
  /** false: what a success contains does not matter. */
  readonly reads?: boolean;
  readonly signal?: AbortSignal;
}

export interface TransmitterResponse {
  readonly status: number;
  /** Undefined: the response has no content. */
  readonly document: JsonValue | undefined;
}

export class TransmitterCalls {
  readonly #parts: TransmitterCallsParts;

  constructor(parts: TransmitterCallsParts) {
    this.#parts = parts;
  }

  /**
   * @returns of a success: 2xx
   * @throws TransmitterError; its message holds no secret
   */
  async send(call: TransmitterCall): Promise<TransmitterResponse> {
    const { tokens, origins, clock } = this.#parts;
    const { origin } = new URL(call.url);
    if (!origins.includes(origin))
      throw new TransmitterError(
        'unreadable',
        `the transmitter names ${origin}, which is no server of the configuration; if it is right, set the URL of that endpoint there`,
      );
    const token = call.withToken === false ? undefined : await this.#ownToken();
    let response = await this.#exchange(call, token);
    if (response.status === 401 && tokens && token !== undefined) {
      // It may have ended early; a new one tells.
      tokens.forget(token);
      response = await this.#exchange(call, await this.#ownToken());
    }
    const { reads = true } = call;
    return successOf(reads ? response : { ...response, body: NOTHING }, clock.nowMs());
  }

  async #ownToken(): Promise<string | undefined> {
    try {
      return await this.#parts.tokens?.token();
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new TransmitterError('no_token', `no access token for the transmitter: ${what}`, {
        cause: error,
      });
    }
  }

  async #exchange(
    { method, url, body, timeoutMs, withToken = true, signal }: TransmitterCall,
    token: string | undefined,
  ): Promise<AuthorizationServerResponse> {
    const { client, tokens } = this.#parts;
    try {
      return await client.send({
        url,
        method,
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        ...(body !== undefined && { body }),
        timeoutMs,
        withBearerToken: withToken && !tokens,
        ...(signal && { signal }),
      });
    } catch (error) {
      throw asTransmitterError(error);
    }
  }
}

const NOTHING = Buffer.alloc(0);

function asTransmitterError(error: unknown): TransmitterError {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof NoResponse) return new TransmitterError('unreachable', message, { cause: error });
  if (error instanceof TokenFileError) return new TransmitterError('no_token', message, { cause: error });
  return error instanceof ResponseTooLarge
    ? new TransmitterError('too_large', 'the response is larger than any that is read', { cause: error })
    : new TransmitterError('unreadable', message, { cause: error });
}

/** @throws TransmitterError where the status is no success, or its content no strict JSON */
function successOf(response: AuthorizationServerResponse, nowMs: number): TransmitterResponse {
  const { status, contentType, body } = response;
  const asked = retryAfterSeconds(response.retryAfter, nowMs);
  if (status === 401 || status === 403)
    throw new TransmitterError('refused', `the transmitter responded ${status}`, { status });
  if (status === 429 || (status === 503 && asked !== undefined))
    throw new TransmitterError('busy', `the transmitter is busy (${status})`, {
      status,
      retryAfterSeconds: asked,
    });
  if (status < 200 || status > 299)
    throw new TransmitterError('status', `the transmitter responded ${status}`, { status });
  if (body.length === 0) return { status, document: undefined };
  if (!isAnyJson(contentType))
    throw new TransmitterError('unreadable', 'the response of the transmitter is no JSON', { status });
  try {
    return { status, document: parseStrictJson(body) };
  } catch (error) {
    throw new TransmitterError('unreadable', 'the response of the transmitter is no strict JSON', {
      status,
      cause: error,
    });
  }
}
