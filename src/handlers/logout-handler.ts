/**
 * Receives OpenID Connect back-channel logouts on the public listeners: a POST with a logout token, which revokes a
 * session, a subject or both. docs/revocation.md, "Logouts".
 */
import { addAbortSignal } from 'node:stream';
import type { ClientRequest } from '../server/exchange.ts';
import {
  BODY_TOO_LARGE,
  GatewayError,
  INVALID_LOGOUT_TOKEN,
  MALFORMED_REQUEST,
  LOGOUT_NOT_POSTED,
  REQUEST_TIMEOUT,
  REVOCATION_NOT_STORED,
} from '../errors.ts';
import { fieldValues } from '../http/field-list.ts';
import { mediaTypeOf } from '../http/media-type.ts';
import type { RequestHead } from '../http/request-head.ts';
import { readBody } from '../server/read-body.ts';
import { RevocationRefused, type Revoker } from '../revocation/revoker.ts';
import type { TargetKind } from '../revocation/revocation-target.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import { LogoutRefused, type LogoutRefusalReason } from '../token/logout-refusal.ts';
import type { Logout, LogoutVerifier } from '../token/logout-verifier.ts';

export interface LogoutEndpoint {
  /** Lower-case, without port. */
  readonly host: string;
  readonly path: string;
  readonly issuerName: string;
  /** What a logout that names a session and a subject revokes. */
  readonly ends: 'session' | 'subject' | 'both';
  readonly verifier: LogoutVerifier;
}

/** Hears the outcome of each logout, for the log and the metric. */
export interface LogoutObserver {
  accepted(issuer: string): void;
  refused(issuer: string, reason: LogoutRefusalReason, from: string): void;
}

type Addressed = Pick<RequestHead, 'hostname' | 'path'>;

/** Undefined for a request that is not for a configured host and path. */
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

export class LogoutHandler {
  readonly #endpoints: readonly LogoutEndpoint[];
  readonly #revoker: Revoker;
  readonly #audit: AuditLog;
  readonly #observer: LogoutObserver;

  constructor(
    endpoints: readonly LogoutEndpoint[],
    revoker: Revoker,
    audit: AuditLog,
    observer: LogoutObserver,
  ) {
    this.#endpoints = endpoints;
    this.#revoker = revoker;
    this.#audit = audit;
    this.#observer = observer;
  }

  /** As logoutEndpointOf. */
  endpointOf(head: Addressed): LogoutEndpoint | undefined {
    return logoutEndpointOf(this.#endpoints, head);
  }

  /**
   * Resolves once the store has the revocation.
   *
   * @throws GatewayError 400, 405, 408, 413; 503 where keys or the store are unavailable
   */
  async receive(endpoint: LogoutEndpoint, request: ClientRequest, from: string): Promise<void> {
    const { issuerName } = endpoint;
    try {
      const token = await tokenOf(request);
      const logout = await endpoint.verifier.verify(token, { clientIp: from });
      await this.#end(endpoint, logout, from);
      endpoint.verifier.spend(logout);
      this.#observer.accepted(issuerName);
    } catch (error) {
      const [refusal, reason] = refusalOf(error);
      if (reason !== undefined) this.#observer.refused(issuerName, reason, from);
      throw refusal;
    }
  }

  /** Writes one entry, or two. Where the store fails half-way, the server tries again, and the first is there already. */
  async #end({ issuerName, ends }: LogoutEndpoint, logout: Logout, from: string): Promise<void> {
    const by = `backchannel-logout:${issuerName}`;
    for (const [kind, value] of targetsOf(logout, ends)) {
      const outcome = await this.#revoker.revoke({
        target: { issuer: logout.issuer, kind, value },
        issuedBefore: kind === 'session' ? undefined : logout.issuedAt,
        createdBy: by,
        reason: 'logged out',
      });
      const { entry, changed } = outcome;
      this.#audit.write({ action: 'revoke', by, from, source: by, entry, changed });
    }
  }
}

/** What to revoke: as configured where the token names both, else what it names. */
function targetsOf(
  { session, subject }: Logout,
  ends: LogoutEndpoint['ends'],
): (readonly [kind: TargetKind, value: string])[] {
  const sessions = session === undefined ? [] : [['session', session] as const];
  const subjects = subject === undefined ? [] : [['subject', subject] as const];
  if (sessions.length === 0 || subjects.length === 0 || ends === 'both') return [...sessions, ...subjects];
  return ends === 'session' ? sessions : subjects;
}

/** @throws GatewayError 400, 405, 408, 413; LogoutRefused */
async function tokenOf(request: ClientRequest): Promise<string> {
  if (request.method !== 'POST') throw LOGOUT_NOT_POSTED;
  const mediaType = mediaTypeOf(fieldValues(request.rawHeaders, 'content-type'));
  if (mediaType !== 'application/x-www-form-urlencoded') throw new LogoutRefused('not_a_form');
  const body = await bodyOf(request);
  const [token, second] = new URLSearchParams(body.toString('utf8')).getAll('logout_token');
  if (token === undefined || second !== undefined) throw new LogoutRefused('no_single_token');
  return token;
}

const REASONS: ReadonlyMap<GatewayError, LogoutRefusalReason> = new Map([
  [LOGOUT_NOT_POSTED, 'not_posted'],
  [BODY_TOO_LARGE, 'body_too_large'],
  [MALFORMED_REQUEST, 'incomplete'],
  [REQUEST_TIMEOUT, 'timeout'],
]);

/** What the authorization server gets, and why. */
function refusalOf(error: unknown): [error: GatewayError, reason: LogoutRefusalReason | undefined] {
  if (error instanceof LogoutRefused) return [INVALID_LOGOUT_TOKEN, error.reason];
  if (error instanceof RevocationRefused) return [INVALID_LOGOUT_TOKEN, 'from_the_future'];
  if (!(error instanceof GatewayError)) return [REVOCATION_NOT_STORED, 'store_unavailable'];
  return [error, error.reason === 'keys_unavailable' ? 'keys_unavailable' : REASONS.get(error)];
}

/** @throws GatewayError 400 where it is incomplete, 408 where it takes too long, 413 */
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
