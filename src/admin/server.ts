/**
 * The admin listener: health, metrics, and the API behind a token. Never public. docs/reference.md, "Admin listener". Rules
 * A1 to A4.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { bearerChallenge } from '../http/challenge.ts';
import { fieldValues } from '../http/field-list.ts';
import { mediaTypeOf } from '../http/media-type.ts';
import { GatewayError } from '../errors.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import { ListenerCertificates, type ListenerTls } from '../tls/server-certificates.ts';
import { hostAllowed, type AdminAuth } from './admin-auth.ts';
import { readBody } from '../server/read-body.ts';
import { mayAct, type Caller, type Role } from './caller.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import { destinationOf, routeFor, type BodyRule, type RouteParts } from './routes.ts';

export interface AdminParts extends RouteParts {
  readonly auth: AdminAuth;
  readonly hosts: readonly string[];
  /** Undefined: plaintext. */
  readonly tls: ListenerTls | undefined;
  readonly logger: Logger;
}

/** Those that another configuration replaces. */
export type ConfiguredParts = Omit<AdminParts, 'explain' | 'readiness' | 'status' | 'metrics' | 'logger'>;

const TIMEOUTS = { requestTimeout: 10_000, headersTimeout: 5_000 };

const COMMON_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

export class AdminServer {
  #parts: AdminParts;
  readonly #server: Server | TlsServer;
  readonly #certificates: ListenerCertificates | undefined;

  constructor(parts: AdminParts) {
    this.#parts = parts;
    this.#certificates = parts.tls && new ListenerCertificates(parts.tls);
    const serve = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#serve(request, response);
    this.#server = this.#certificates
      ? createTlsServer({ ...TIMEOUTS, ...this.#certificates.options(TIMEOUTS.headersTimeout) }, serve)
      : createServer(TIMEOUTS, serve);
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

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let content: AdminResponse;
    try {
      content = await this.#respond(request);
    } catch (error) {
      content = this.#failure(error);
    }
    const { status, headers, body } = content;
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

  /** The store or an authorization server is unavailable: 503, so that the caller knows that nothing was revoked. */
  #failure(error: unknown): AdminResponse {
    if (error instanceof GatewayError)
      return adminProblem(503, error.code, error.title, { 'retry-after': '1' });
    this.#parts.logger.error({ error: describeError(error) }, 'an admin request failed');
    return adminProblem(
      503,
      'store_unavailable',
      'the revocation store is unavailable; nothing was changed',
      {
        'retry-after': '1',
      },
    );
  }

  /** The order of the checks: Host, token, path and method, role, content type, size of the body. */
  async #respond(request: IncomingMessage): Promise<AdminResponse> {
    const url = URL.parse(request.url ?? '/', 'http://admin.invalid');
    if (!url) return adminProblem(400, 'malformed_request', 'this is no request target');
    const destination = destinationOf(url.pathname);
    const { access, name } = destination;
    const refused = access === 'open' ? undefined : this.#refusedHost(request);
    if (refused) return refused;
    const caller = access === 'token' ? await this.#identify(request) : undefined;
    if (caller && 'status' in caller) return caller;
    const route = routeFor(destination, request.method ?? '');
    if ('status' in route) return route;
    const query = url.searchParams;
    const [, , needs, rule, handle] = route;
    if (needs === 'open' || needs === 'host') return handle(this.#parts, { query, name });
    if (!caller) throw new TypeError('a route of the API was reached without a token');
    if (!mayAct(caller, needs)) return this.#forbidden(needs);
    const body = rule ? await acceptedBody(request, rule) : Buffer.alloc(0);
    return Buffer.isBuffer(body) ? handle(this.#parts, { query, name, caller, body }) : body;
  }

  /** Why neither the page nor the API is served; undefined where they are. */
  #refusedHost({ headers }: IncomingMessage): AdminResponse | undefined {
    const { auth, hosts } = this.#parts;
    if (!auth.enabled)
      return adminProblem(
        404,
        'not_found',
        'the admin API is off: no admin token is configured; set admin.token_file, or admin.auth',
      );
    return hostAllowed(headers.host, hosts)
      ? undefined
      : adminProblem(403, 'host_not_allowed', 'this Host may not use the admin API; add it to admin.hosts');
  }

  /** Who presents an admin token; else the refusal. */
  async #identify(request: IncomingMessage): Promise<Caller | AdminResponse> {
    const { auth, logger } = this.#parts;
    const address = request.socket.remoteAddress ?? '';
    const identified = await auth.identify(fieldValues(request.rawHeaders, 'authorization'), address);
    if (identified.outcome === 'known') return identified.caller;
    if (identified.outcome === 'throttled') {
      return adminProblem(429, 'throttled', 'too many wrong admin tokens from this address', {
        'retry-after': String(identified.retryAfterSeconds),
      });
    }
    const reason = identified.outcome === 'wrong' ? identified.reason : undefined;
    if (identified.outcome === 'wrong')
      logger.warn({ from: address, reason }, 'a wrong admin token was presented');
    return adminProblem(
      401,
      'unauthorized',
      `the admin API needs the admin token as Authorization: Bearer TOKEN${reason === undefined ? '' : `; this token was refused (${reason})`}`,
      { 'www-authenticate': 'Bearer realm="sallyport admin"' },
    );
  }

  #forbidden(role: Role): AdminResponse {
    const scope = this.#parts.auth.scopeFor(role);
    return adminProblem(
      403,
      'insufficient_scope',
      scope === undefined
        ? `this needs the role ${role}, which no scope gives: sign in with an admin token`
        : `this needs the role ${role}: get a token with the scope ${scope}`,
      {
        'www-authenticate': bearerChallenge('sallyport admin', {
          error: 'insufficient_scope',
          ...(scope !== undefined && { scope }),
        }),
      },
    );
  }
}

/** A body of the right type, and only that: a form on another site can send neither JSON nor our header. */
async function acceptedBody(
  request: IncomingMessage,
  { accepts, maxBytes }: BodyRule,
): Promise<Buffer | AdminResponse> {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = request.headers;
  // A DELETE need not have one (RFC 9110 section 9.3.5).
  if (request.method === 'DELETE' && length === '0' && coding === undefined) return Buffer.alloc(0);
  // Of two lines Node shows the first alone; another reader may go by the second.
  if (!accepts(mediaTypeOf(fieldValues(request.rawHeaders, 'content-type'))))
    return adminProblem(415, 'unsupported_media_type', 'send application/json (RFC 7009: a form)');
  const body = await readBody(request, maxBytes);
  return body ?? adminProblem(413, 'body_too_large', `the body is larger than ${maxBytes / 1024} KiB`);
}
