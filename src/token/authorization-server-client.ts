/**
 * Calls to authorization servers, with caps on everything: time, size, redirects, encodings (rules K4, I7).
 *
 * The HTTP client is loaded when keys are fetched first, or when a client of introspection is made: both are at the start. A
 * gateway that calls no server never loads it.
 */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as Undici from 'undici';
import type { Agent, buildConnector, Dispatcher } from 'undici';
import { isLoopback } from '../http/loopback.ts';
import { mediaTypeOf } from '../http/media-type.ts';
import type { TlsClient } from '../tls/client-options.ts';
import { isLeftOut } from './no-proxy.ts';
import { openTunnel, type Proxy } from './proxy-tunnel.ts';
import { bearerTokenFor, hasCredentials, isConfigured, type ServerAccess } from './server-access.ts';

const require = createRequire(import.meta.url);
const httpClient = (): typeof Undici => require('undici') as typeof Undici;

/** Larger than any key set or response about a token. */
const MAX_RESPONSE_BYTES = 1024 * 1024;

type Method = 'GET' | 'POST' | 'PATCH';

export interface AuthorizationServerRequest {
  readonly url: string;
  readonly method?: Method;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
  /** false: the call authenticates in its own way, and the token of the access is not sent. */
  readonly withBearerToken?: boolean;
  /** Ends the call early, as its timeout does. */
  readonly signal?: AbortSignal;
  /** How large the response may be. Default: what fits key sets and responses about a token. */
  readonly maxBytes?: number;
}

export interface AuthorizationServerResponse {
  readonly status: number;
  /** In lower case, without parameters; empty where it is none. */
  readonly contentType: string;
  /** The ETag field (RFC 9110 section 8.8.3) as it came; empty where there is none. */
  readonly etag: string;
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
    const code = cause instanceof Error ? errorCode(cause) : undefined;
    const reason = unreachable ? 'no connection could be made' : 'no complete response arrived';
    super(isStranger(code) ? `${reason}; if its authority is your own, set http.tls.ca_file` : reason, {
      cause,
    });
    this.unreachable = unreachable;
    this.code = typeof code === 'string' ? code : undefined;
  }
}

/** Of OpenSSL: the certificate of the server leads to no authority that is trusted. */
const STRANGERS: readonly unknown[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];
const isStranger = (code: unknown): boolean => STRANGERS.includes(code);

/** Marks what went wrong before a request was sent. */
class NotConnected extends Error {}

/** Of servers that are reached as the system has it. */
const PLAIN_ACCESS: ServerAccess = { tls: {}, proxy: undefined, bearerTokenFile: undefined, origins: [] };

/** Pools for all authorization servers that are reached in one way; HTTP/1.1 only, redirects are responses like any other. */
export class AuthorizationServerClient {
  readonly #access: ServerAccess;
  #agents: Agents | undefined;
  /** By a digest of the access. One that nothing uses any more closes its idle connections and goes. */
  readonly #derived = new Map<string, WeakRef<AuthorizationServerClient>>();

  constructor(access: ServerAccess = PLAIN_ACCESS) {
    this.#access = access;
  }

  /** Loads what a call needs, for one that is made later than at the start. */
  prepare(): void {
    this.#agentsInUse();
  }

  #agentsInUse(): Agents {
    return (this.#agents ??= agentsFor(this.#access));
  }

  /** The client for servers that are reached in this way: the same one for the same way, with its connections. */
  through(access: ServerAccess | undefined): AuthorizationServerClient {
    if (access === undefined) return this;
    const digest = createHash('sha256').update(JSON.stringify(access)).digest('base64url');
    const known = this.#derived.get(digest)?.deref();
    if (known) return known;
    for (const [key, client] of this.#derived) if (!client.deref()) this.#derived.delete(key);
    const client = new AuthorizationServerClient(access);
    this.#derived.set(digest, new WeakRef(client));
    return client;
  }

  /** Would a call to this URL go without the certificate or token that configured servers get? */
  withholdsFrom(url: string): boolean {
    return hasCredentials(this.#access) && !isConfigured(this.#access, url);
  }

  /**
   * @throws NoResponse when no complete response arrived in time; TokenFileError when nothing was sent for lack of a
   *         token; Error when a response arrived that breaks the caps. The message holds no secret.
   */
  async send({
    url,
    method = 'GET',
    headers = {},
    body,
    timeoutMs,
    withBearerToken = true,
    signal: ended,
    maxBytes = MAX_RESPONSE_BYTES,
  }: AuthorizationServerRequest): Promise<AuthorizationServerResponse> {
    const token = withBearerToken ? await bearerTokenFor(this.#access, url) : undefined;
    const all = token === undefined ? headers : { ...headers, authorization: `Bearer ${token}` };
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = ended === undefined ? timeout : AbortSignal.any([timeout, ended]);
    try {
      return await this.#exchange({ url, method, headers: all, body, signal, maxBytes });
    } catch (error) {
      throw error instanceof Error ? asNoResponse(error) : error;
    }
  }

  async #exchange(asked: {
    readonly url: string;
    readonly method: Method;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string | undefined;
    readonly signal: AbortSignal;
    readonly maxBytes: number;
  }): Promise<AuthorizationServerResponse> {
    const { url, method, headers, body, signal, maxBytes } = asked;
    const { configured, others } = this.#agentsInUse();
    const answer = await httpClient().request(url, {
      dispatcher: isConfigured(this.#access, url) ? configured : others,
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
      etag: single(answer.headers['etag']),
      body: await bytesOf(answer.body, maxBytes),
    };
  }

  async close(): Promise<void> {
    const derived = [...this.#derived.values()].map((client) => client.deref()?.close());
    const { configured, others } = this.#agents ?? {};
    await Promise.all([configured?.destroy(), others?.destroy(), ...derived]);
  }
}

interface Agents {
  /** For origins that the configuration names. */
  readonly configured: Agent;
  /** For all others: without what tells the gateway apart. */
  readonly others: Agent;
}

function agentsFor(access: ServerAccess): Agents {
  const { tls, proxy } = access;
  const configured = agentFor(tls, proxy);
  if (!hasCredentials(access)) return { configured, others: configured };
  return { configured, others: agentFor(tls.ca === undefined ? {} : { ca: tls.ca }, proxy) };
}

function agentFor(tls: TlsClient, proxy: Proxy | undefined): Agent {
  const { Agent } = httpClient();
  return new Agent({
    connect: connectorFor(tls, proxy),
    // Many times what one client may use by default: calls that hang must not make those of others wait.
    connections: 128,
    pipelining: 1,
  });
}

function connectorFor(tls: TlsClient, proxy: Proxy | undefined): buildConnector.connector {
  const connect = httpClient().buildConnector({ allowH2: false, ...tls });
  return (options, callback) => {
    const finish: buildConnector.Callback = (...[error, socket]) => {
      if (error === null) callback(null, socket);
      else callback(new NotConnected(error.message, { cause: error }), null);
    };
    const fail = (error: Error): void => finish(error, null);
    const target = tls.servername === undefined ? options : { ...options, servername: tls.servername };
    const { hostname, protocol } = options;
    const port = Number(options.port) || (protocol === 'https:' ? 443 : 80);
    if (!proxy || isLoopback(hostname) || isLeftOut(proxy.noProxy, hostname, port)) connect(target, finish);
    else if (protocol !== 'https:') fail(new Error('http:// does not go through a proxy; use https://'));
    else
      openTunnel(proxy, hostname, port).then(
        (httpSocket) => connect({ ...target, httpSocket }, finish),
        fail,
      );
  };
}

/** A response arrived, and breaks a cap. */
class UselessResponse extends Error {}

/** A response arrived that is larger than its caller allows. */
export class ResponseTooLarge extends UselessResponse {}

function asNoResponse(error: Error): Error {
  if (error instanceof UselessResponse) return error;
  return error instanceof NotConnected ? new NoResponse(true, error.cause) : new NoResponse(false, error);
}

function errorCode(error: Error): unknown {
  return 'code' in error ? error.code : undefined;
}

function single(value: string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(',') : (value ?? '');
}

/** @throws ResponseTooLarge; the rest is not read */
async function bytesOf(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new ResponseTooLarge(`the response is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function discard(body: Dispatcher.ResponseData['body']): Promise<void> {
  body.on('error', () => undefined).destroy();
}
