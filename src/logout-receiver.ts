/**
 * Receives OpenID Connect back-channel logouts on the public listeners: a POST with a logout token, which becomes a
 * revocation. CONTRACT.md section 6.
 */
import { addAbortSignal } from 'node:stream';
import type { ClientRequest } from './client-transport.ts';
import {
  BODY_TOO_LARGE,
  INVALID_LOGOUT_TOKEN,
  MALFORMED_REQUEST,
  LOGOUT_NOT_POSTED,
  REQUEST_TIMEOUT,
  REVOCATION_NOT_STORED,
} from './errors.ts';
import { contentTypesIn, mediaTypeOf } from './http/media-type.ts';
import type { RequestHead } from './http/request-head.ts';
import { readBody } from './request-body.ts';
import { RevocationRefused, type Revoker } from './revocation/revoker.ts';
import type { AuditLog } from './telemetry/audit-log.ts';
import type { LogoutVerifier } from './token/logout-verifier.ts';

export interface LogoutEndpoint {
  /** Lower-case, without port. */
  readonly host: string;
  readonly path: string;
  readonly issuerName: string;
  readonly verifier: LogoutVerifier;
}

type Addressed = Pick<RequestHead, 'hostname' | 'path'>;

/** Undefined for every request but those for a configured host and path. */
export function logoutEndpointOf(
  endpoints: readonly LogoutEndpoint[],
  head: Addressed,
): LogoutEndpoint | undefined {
  if (endpoints.length === 0) return undefined;
  return endpoints.find(({ host, path }) => path === head.path && host === head.hostname);
}

const MAX_BODY_BYTES = 16 * 1024;
/** How long a logout token may take to arrive. */
const BODY_TIMEOUT_MS = 10_000;

export class LogoutReceiver {
  readonly #endpoints: readonly LogoutEndpoint[];
  readonly #revoker: Revoker;
  readonly #audit: AuditLog;

  constructor(endpoints: readonly LogoutEndpoint[], revoker: Revoker, audit: AuditLog) {
    this.#endpoints = endpoints;
    this.#revoker = revoker;
    this.#audit = audit;
  }

  /** As logoutEndpointOf. */
  endpointOf(head: Addressed): LogoutEndpoint | undefined {
    return logoutEndpointOf(this.#endpoints, head);
  }

  /**
   * Resolves once the store has the revocation.
   *
   * @throws GatewayError 400, 405, 408, 413; 503 where keys or the store cannot be had
   */
  async receive(endpoint: LogoutEndpoint, request: ClientRequest, from: string): Promise<void> {
    if (request.method !== 'POST') throw LOGOUT_NOT_POSTED;
    const mediaType = mediaTypeOf(contentTypesIn(request.rawHeaders));
    if (mediaType !== 'application/x-www-form-urlencoded') throw INVALID_LOGOUT_TOKEN;
    const body = await bodyOf(request);
    const tokens = new URLSearchParams(body.toString('utf8')).getAll('logout_token');
    const [token] = tokens;
    if (token === undefined || tokens.length > 1) throw INVALID_LOGOUT_TOKEN;
    const logout = await endpoint.verifier.verify(token);
    const { issuer, kind, value, issuedAt } = logout;
    const by = `backchannel-logout:${endpoint.issuerName}`;
    try {
      const outcome = await this.#revoker.revoke({
        target: { issuer, kind, value },
        issuedBefore: issuedAt,
        createdBy: by,
        reason: 'logged out',
      });
      this.#audit.write({
        action: 'revoke',
        by,
        from,
        entry: outcome.entry,
        changed: outcome.kind !== 'repeated',
      });
    } catch (error) {
      throw error instanceof RevocationRefused ? INVALID_LOGOUT_TOKEN : REVOCATION_NOT_STORED;
    }
    endpoint.verifier.spend(logout);
  }
}

/** @throws GatewayError 400 where it does not come whole, 408 where it takes too long, 413 */
async function bodyOf(request: ClientRequest): Promise<Buffer> {
  const timeout = AbortSignal.timeout(BODY_TIMEOUT_MS);
  let body: Buffer | undefined;
  try {
    body = await readBody(addAbortSignal(timeout, request.body), MAX_BODY_BYTES);
  } catch {
    throw timeout.aborted ? REQUEST_TIMEOUT : MALFORMED_REQUEST;
  }
  if (body === undefined) throw BODY_TOO_LARGE;
  return body;
}
