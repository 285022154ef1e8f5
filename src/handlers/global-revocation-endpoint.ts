/**
 * Receives global token revocations on the public listeners (draft-parecki-oauth-global-token-revocation-05; Okta calls it Universal
 * Logout): a POST that names a user, whose tokens end up to now. The credentials are a JWT of the issuer, never an access token.
 * docs/revocation.md, "Global token revocation".
 */
import {
  INVALID_GLOBAL_REVOCATION,
  INVALID_REVOCATION_CREDENTIALS,
  NO_REVOCATION_CREDENTIALS,
  NOT_REVOCABLE,
  REVOCATION_FORBIDDEN,
} from '../auth-errors.ts';
import {
  BODY_TOO_LARGE,
  GatewayError,
  GLOBAL_REVOCATION_NOT_POSTED,
  MALFORMED_REQUEST,
  REQUEST_TIMEOUT,
  REVOCATION_NOT_STORED,
} from '../errors.ts';
import { Credentials } from '../http/credentials.ts';
import { fieldValues } from '../http/field-list.ts';
import { isJson, mediaTypeOf } from '../http/media-type.ts';
import type { ReplayStore } from '../replay/replay-store.ts';
import { GLOBAL_REVOCATION } from '../replay/used-proofs.ts';
import { RevocationRefused, type Revoker } from '../revocation/revoker.ts';
import type { RevocationTarget } from '../revocation/revocation-target.ts';
import type { ClientRequest } from '../server/exchange.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import {
  GlobalRevocationRefused,
  type GlobalRevocationRefusalReason,
} from '../token/global-revocation-refusal.ts';
import type {
  GlobalRevocationCaller,
  GlobalRevocationVerifier,
} from '../token/global-revocation-verifier.ts';
import { revokedSubject, type EmailTarget } from '../token/revoked-subject.ts';
import {
  endpointBody,
  type EndpointPlace,
  type EndpointResponse,
  type ServerEndpoint,
} from './server-endpoint.ts';

/** Where one issuer sends global token revocations. */
export interface GlobalRevocationReceiver {
  readonly place: EndpointPlace;
  /** Whose subjects end; undefined: those of the `iss` of the JWT. */
  readonly subjectsOf: string | undefined;
  /** Undefined: none of its tokens names a user by an e-mail address. */
  readonly email: EmailTarget | undefined;
  readonly verifier: GlobalRevocationVerifier;
}

/** Hears the outcome of each request, for the log and the metric. */
export interface GlobalRevocationObserver {
  accepted(issuer: string): void;
  refused(issuer: string, reason: GlobalRevocationRefusalReason, from: string): void;
}

export interface GlobalRevocationParts {
  readonly revoker: Revoker;
  /** Which JWTs were used. */
  readonly replay: ReplayStore;
  readonly audit: AuditLog;
  readonly observer: GlobalRevocationObserver;
}

const MAX_BODY_BYTES = 16 * 1024;
const ACCEPTED: EndpointResponse = { status: 204, headers: ['cache-control', 'no-store'], body: '' };

/** Another gateway, whose clock is slow, accepts a JWT for longer: its id is remembered for as much more. */
const OTHER_CLOCKS_MS = 60_000;

export class GlobalRevocationEndpoint implements ServerEndpoint {
  readonly place: EndpointPlace;
  readonly #receiver: GlobalRevocationReceiver;
  readonly #parts: GlobalRevocationParts;

  constructor(receiver: GlobalRevocationReceiver, parts: GlobalRevocationParts) {
    this.place = receiver.place;
    this.#receiver = receiver;
    this.#parts = parts;
  }

  /**
   * Resolves once the store has the revocation (rule V13). Whether the user exists is not known here: 204, and never 404.
   *
   * @throws GatewayError 400, 401, 403, 405, 408, 413, 422; 503 where keys, the memory of used JWTs or the store are unavailable
   */
  async receive(request: ClientRequest, from: string): Promise<EndpointResponse> {
    const { issuerName } = this.place;
    const { observer } = this.#parts;
    try {
      if (request.method !== 'POST') throw this.place.notPosted;
      const caller = await this.#receiver.verifier.verify(tokenOf(request), { clientIp: from });
      const { subjectsOf, email } = this.#receiver;
      const issuer = subjectsOf ?? caller.issuer;
      const body = await jsonBody(request);
      const target = revokedSubject(body, { issuer, askedBy: caller.issuer, email });
      // Last: what follows may fail, and then a new JWT is needed. In the other order a recorded request would end later logins.
      await this.#use(caller);
      await this.#end(target, caller, from);
      observer.accepted(issuerName);
      return ACCEPTED;
    } catch (error) {
      const [refusal, reason] = refusalOf(error);
      if (reason !== undefined) observer.refused(issuerName, reason, from);
      throw refusal;
    }
  }

  /** @throws GlobalRevocationRefused where the JWT was used before, at any gateway, or that cannot be known */
  async #use({ useId, usableForMs }: GlobalRevocationCaller): Promise<void> {
    let isFirst: boolean;
    try {
      isFirst = await this.#parts.replay.firstUse(GLOBAL_REVOCATION, useId, usableForMs + OTHER_CLOCKS_MS);
    } catch {
      throw new GlobalRevocationRefused('replay_unavailable');
    }
    if (!isFirst) throw new GlobalRevocationRefused('used_before');
  }

  async #end(target: RevocationTarget, { caller }: GlobalRevocationCaller, from: string): Promise<void> {
    const by = `global-token-revocation:${this.place.issuerName}`;
    const { entry, changed } = await this.#parts.revoker.revoke({
      target,
      issuedBefore: undefined,
      createdBy: by,
      reason: `asked by ${caller}`,
    });
    this.#parts.audit.write({ action: 'revoke', by, from, source: by, entry, changed });
  }
}

/** @throws GlobalRevocationRefused */
function tokenOf({ rawHeaders }: ClientRequest): string {
  const [line, second] = fieldValues(rawHeaders, 'authorization');
  const { scheme, token } = new Credentials(line ?? '');
  if (second !== undefined || scheme !== 'bearer' || token === undefined)
    throw new GlobalRevocationRefused('no_credentials');
  return token;
}

/** @throws GatewayError 400, 408, 413; GlobalRevocationRefused */
async function jsonBody(request: ClientRequest): Promise<Buffer> {
  if (!isJson(mediaTypeOf(fieldValues(request.rawHeaders, 'content-type'))))
    throw new GlobalRevocationRefused('not_json');
  return endpointBody(request, MAX_BODY_BYTES);
}

/** What its caller gets; for all others, that its credentials are not valid. */
const RESPONSES: Partial<Record<GlobalRevocationRefusalReason, GatewayError>> = {
  no_credentials: NO_REVOCATION_CREDENTIALS,
  unknown_caller: REVOCATION_FORBIDDEN,
  other_issuer: REVOCATION_FORBIDDEN,
  not_json: INVALID_GLOBAL_REVOCATION,
  bad_body: INVALID_GLOBAL_REVOCATION,
  unknown_format: INVALID_GLOBAL_REVOCATION,
  replay_unavailable: REVOCATION_NOT_STORED,
};

const REASONS: ReadonlyMap<GatewayError, GlobalRevocationRefusalReason> = new Map([
  [GLOBAL_REVOCATION_NOT_POSTED, 'not_posted'],
  [BODY_TOO_LARGE, 'body_too_large'],
  [MALFORMED_REQUEST, 'incomplete'],
  [REQUEST_TIMEOUT, 'timeout'],
]);

function refusalOf(error: unknown): [error: GatewayError, reason: GlobalRevocationRefusalReason | undefined] {
  if (error instanceof GlobalRevocationRefused)
    return [RESPONSES[error.reason] ?? INVALID_REVOCATION_CREDENTIALS, error.reason];
  if (error instanceof RevocationRefused) return [NOT_REVOCABLE, 'names_nothing'];
  if (!(error instanceof GatewayError)) return [REVOCATION_NOT_STORED, 'store_unavailable'];
  return [error, error.reason === 'keys_unavailable' ? 'keys_unavailable' : REASONS.get(error)];
}
