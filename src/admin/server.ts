/**
 * The admin listener: health, metrics, and the API behind a token. Never public. docs/reference.md, "Admin listener". Rules
 * A1 to A4.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fieldValues } from '../http/field-list.ts';
import { isJson, mediaTypeOf } from '../http/media-type.ts';
import { GatewayError } from '../errors.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import { ListenerCertificates, type ListenerTls } from '../tls/server-certificates.ts';
import { hostAllowed, type AdminAuth } from './admin-auth.ts';
import { readBody } from '../server/read-body.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import type { KeysApi } from './keys-api.ts';
import { pageResponses } from './page-files.ts';
import type { Caller, RevocationsApi } from './revocations-api.ts';

/** Whether the gateway should get requests. */
export interface Readiness {
  readonly ready: boolean;
  /** One line for each thing that was asked, for `?verbose`. */
  readonly report: readonly string[];
}

export interface AdminParts {
  readonly auth: AdminAuth;
  readonly hosts: readonly string[];
  readonly revocations: RevocationsApi;
  readonly keys: KeysApi;
  readonly readiness: () => Readiness;
  readonly status: () => object;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  /** The JWK Set of the assertion keys; undefined where none are configured. */
  readonly publicKeys: object | undefined;
  /** Undefined: plaintext. */
  readonly tls: ListenerTls | undefined;
  readonly logger: Logger;
}

const REVOCATION_ID = /^\/v1\/revocations\/([A-Za-z0-9_-]{1,64})$/;
const KEYS_REFRESH = /^\/v1\/issuers\/([A-Za-z0-9._-]{1,64})\/keys\/refresh$/;
const FORM = 'application/x-www-form-urlencoded';
/** Larger than any honest one. */
const MAX_BODY_BYTES = 64 * 1024;

const TIMEOUTS = { requestTimeout: 10_000, headersTimeout: 5_000 };

const COMMON_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

export class AdminServer {
  #parts: AdminParts;
  readonly #page = pageResponses();
  readonly #server: Server | TlsServer;
  readonly #certificates: ListenerCertificates | undefined;

  constructor(parts: AdminParts) {
    this.#parts = parts;
    this.#certificates = parts.tls && new ListenerCertificates(parts.tls);
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#response(request, response);
    this.#server = this.#certificates
      ? createTlsServer({ ...TIMEOUTS, ...this.#certificates.options(TIMEOUTS.headersTimeout) }, answer)
      : createServer(TIMEOUTS, answer);
  }

  /**
   * @param failed told when a connection could not be accepted; the listener goes on
   * @throws Error where the address cannot be opened
   */
  async listen(host: string, port: number, failed: (error: Error) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen({ host, port }, resolve);
    await promise;
    this.#server.off('error', reject);
    this.#server.on('error', failed);
  }

  /** Another configuration is in place. */
  update(parts: Partial<AdminParts>): void {
    this.#parts = { ...this.#parts, ...parts };
    const { tls } = this.#parts;
    if (!tls || !this.#certificates) return;
    this.#certificates.update(tls);
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(this.#certificates.contextOptions);
  }

  get address(): AddressInfo {
    return this.#server.address() as AddressInfo;
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  async #response(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: AdminResponse;
    try {
      answer = await this.#route(request);
    } catch (error) {
      answer = this.#failure(error);
    }
    const { status, headers, body } = answer;
    const text = typeof body === 'object' ? `${JSON.stringify(body)}\n` : (body ?? '');
    response.writeHead(status, {
      ...COMMON_HEADERS,
      ...(body === undefined
        ? {}
        : { 'content-type': typeof body === 'object' ? 'application/json' : 'text/plain; charset=utf-8' }),
      ...(status === 204 ? {} : { 'content-length': String(Buffer.byteLength(text)) }),
      ...headers,
      ...(request.complete ? {} : { connection: 'close' }),
    });
    response.end(request.method === 'HEAD' || status === 204 ? undefined : text);
  }

  /** The store or an authority is out: 503, so that whoever revokes knows that it has not happened. */
  #failure(error: unknown): AdminResponse {
    if (error instanceof GatewayError)
      return adminProblem(503, error.code, error.title, { 'retry-after': '1' });
    this.#parts.logger.error({ error: describeError(error) }, 'an admin request failed');
    return adminProblem(503, 'store_unavailable', 'the revocation store cannot be had; nothing was changed', {
      'retry-after': '1',
    });
  }

  async #route(request: IncomingMessage): Promise<AdminResponse> {
    const { method = '' } = request;
    const url = URL.parse(request.url ?? '/', 'http://admin.invalid');
    if (!url) return adminProblem(400, 'malformed_request', 'this is no request target');
    const isRead = method === 'GET' || method === 'HEAD';
    if (url.pathname.startsWith('/v1/')) return this.#api(request, method, url);
    const page = this.#page.get(url.pathname);
    if (page) return this.#refusedHost(request) ?? (isRead ? page : methodNotAllowed('GET, HEAD'));
    const open = this.#openPaths[url.pathname];
    if (!open) return adminProblem(404, 'not_found', 'there is nothing here');
    if (!isRead) return methodNotAllowed('GET, HEAD');
    return open(url);
  }

  /** What needs no token. */
  readonly #openPaths: Readonly<
    Record<string, ((url: URL) => AdminResponse | Promise<AdminResponse>) | undefined>
  > = {
    '/livez': () => ({ status: 200, body: 'ok\n' }),
    '/readyz': (url) => {
      const { ready, report } = this.#parts.readiness();
      const lines = url.searchParams.has('verbose') ? `${report.join('\n')}\n` : '';
      return { status: ready ? 200 : 503, body: `${lines}${ready ? 'ok' : 'not ready'}\n` };
    },
    '/metrics': async () => {
      const { contentType, body } = await this.#parts.metrics();
      return { status: 200, headers: { 'content-type': contentType }, body };
    },
    '/.well-known/sallyport/jwks.json': () =>
      this.#parts.publicKeys === undefined
        ? adminProblem(404, 'not_found', 'no assertion keys are configured')
        : { status: 200, headers: { 'cache-control': 'max-age=60' }, body: this.#parts.publicKeys },
  };

  /** Why neither page nor API answer; undefined where they do. */
  #refusedHost({ headers }: IncomingMessage): AdminResponse | undefined {
    const { auth, hosts } = this.#parts;
    if (!auth.enabled)
      return adminProblem(404, 'not_found', 'the admin API is off: no admin token is configured');
    return hostAllowed(headers.host, hosts)
      ? undefined
      : adminProblem(403, 'host_not_allowed', 'this Host may not use the admin API; add it to admin.hosts');
  }

  async #api(request: IncomingMessage, method: string, url: URL): Promise<AdminResponse> {
    const refused = this.#refusedHost(request);
    if (refused) return refused;
    const { auth } = this.#parts;
    const address = request.socket.remoteAddress ?? '';
    const identified = auth.identify(fieldValues(request.rawHeaders, 'authorization'), address);
    if (identified.outcome === 'throttled') {
      return adminProblem(429, 'throttled', 'too many wrong admin tokens from this address', {
        'retry-after': String(identified.retryAfterSeconds),
      });
    }
    if (identified.outcome !== 'known') {
      if (identified.outcome === 'wrong')
        this.#parts.logger.warn({ from: address }, 'a wrong admin token was presented');
      return adminProblem(
        401,
        'unauthorized',
        'the admin API needs the admin token as Authorization: Bearer TOKEN',
        {
          'www-authenticate': 'Bearer realm="sallyport admin"',
        },
      );
    }
    return this.#authorizedApi(request, method, url, { name: identified.name, address });
  }

  async #authorizedApi(
    request: IncomingMessage,
    method: string,
    url: URL,
    caller: Caller,
  ): Promise<AdminResponse> {
    const { revocations } = this.#parts;
    const isRead = method === 'GET' || method === 'HEAD';
    const [, id] = REVOCATION_ID.exec(url.pathname) ?? [];
    if (id !== undefined) {
      if (isRead) return revocations.show(id);
      return method === 'DELETE' ? revocations.undo(id, caller) : methodNotAllowed('GET, HEAD, DELETE');
    }
    const [, issuer] = KEYS_REFRESH.exec(url.pathname) ?? [];
    if (issuer !== undefined)
      return method === 'POST' ? this.#parts.keys.refresh(issuer, caller) : methodNotAllowed('POST');
    switch (url.pathname) {
      case '/v1/revocations':
        if (isRead) return revocations.list(url.searchParams);
        if (method !== 'POST') return methodNotAllowed('GET, HEAD, POST');
        return this.#withBody(request, isJson, (body) => revocations.create(body, caller));
      case '/v1/revoke':
        if (method !== 'POST') return methodNotAllowed('POST');
        return this.#withBody(
          request,
          (type) => type === FORM,
          (body) => revocations.revokeForm(body, caller),
        );
      case '/v1/status':
        return isRead ? { status: 200, body: this.#parts.status() } : methodNotAllowed('GET, HEAD');
      default:
        return adminProblem(404, 'not_found', 'there is nothing here');
    }
  }

  /** A body of the right type, and only that: a form on another site can send neither JSON nor our header. */
  async #withBody(
    request: IncomingMessage,
    accepts: (contentType: string) => boolean,
    handle: (body: Buffer) => Promise<AdminResponse>,
  ): Promise<AdminResponse> {
    // Of two lines Node shows the first alone; another reader may go by the second.
    if (!accepts(mediaTypeOf(fieldValues(request.rawHeaders, 'content-type'))))
      return adminProblem(415, 'unsupported_media_type', 'send application/json (RFC 7009: a form)');
    const body = await readBody(request, MAX_BODY_BYTES);
    return body ? handle(body) : adminProblem(413, 'body_too_large', 'the body is larger than 64 KiB');
  }
}

function methodNotAllowed(allow: string): AdminResponse {
  return adminProblem(405, 'method_not_allowed', `use one of ${allow}`, { allow });
}
