/**
 * Receives OpenID Connect back-channel logouts on the public listeners: a POST with a logout token, which revokes a
 * session, a subject or both. docs/revocation.md, "Logouts".
 */
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
import { RevocationRefused, type Revoker } from '../revocation/revoker.ts';
import type { TargetKind } from '../revocation/revocation-target.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import { LogoutRefused, type LogoutRefusalReason } from '../token/logout-refusal.ts';
import type { Logout, LogoutVerifier } from '../token/logout-verifier.ts';
import {
  endpointBody,
  type EndpointPlace,
  type EndpointResponse,
  type ServerEndpoint,
} from './server-endpoint.ts';

/** Where one issuer tells of logouts. */
export interface LogoutReceiver {
  readonly place: EndpointPlace;
  /** What a logout that names a session and a subject revokes. */
  readonly ends: 'session' | 'subject' | 'both';
  readonly verifier: LogoutVerifier;
}

/** Hears the outcome of each logout, for the log and the metric. */
export interface LogoutObserver {
  accepted(issuer: string): void;
  refused(issuer: string, reason: LogoutRefusalReason, from: string): void;
}

const MAX_BODY_BYTES = 16 * 1024;

export class LogoutEndpoint implements ServerEndpoint {
  readonly place: EndpointPlace;
  readonly #receiver: LogoutReceiver;
  readonly #revoker: Revoker;
  readonly #audit: AuditLog;
  readonly #observer: LogoutObserver;

  constructor(receiver: LogoutReceiver, revoker: Revoker, audit: AuditLog, observer: LogoutObserver) {
    this.place = receiver.place;
    this.#receiver = receiver;
    this.#revoker = revoker;
    this.#audit = audit;
    this.#observer = observer;
  }

  /**
   * Resolves once the store has the revocation.
   *
   * @throws GatewayError 400, 405, 408, 413; 503 where keys or the store are unavailable
   */
  async receive(request: ClientRequest, from: string): Promise<EndpointResponse> {
    const { issuerName } = this.place;
    const { verifier } = this.#receiver;
    try {
      const token = await tokenOf(request);
      const logout = await verifier.verify(token, { clientIp: from });
      await this.#end(logout, from);
      verifier.spend(logout);
      this.#observer.accepted(issuerName);
      return { status: 200, headers: ['cache-control', 'no-store'], body: '' };
    } catch (error) {
      const [refusal, reason] = refusalOf(error);
      if (reason !== undefined) this.#observer.refused(issuerName, reason, from);
      throw refusal;
    }
  }

  /** Writes one entry, or two. Where the store fails half-way, the server tries again, and the first is there already. */
  async #end(logout: Logout, from: string): Promise<void> {
    const by = `backchannel-logout:${this.place.issuerName}`;
    for (const [kind, value] of targetsOf(logout, this.#receiver.ends)) {
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
  ends: LogoutReceiver['ends'],
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
  const body = await endpointBody(request, MAX_BODY_BYTES);
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
