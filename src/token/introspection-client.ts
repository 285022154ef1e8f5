/**
 * Asks an authorization server about a token by RFC 7662. The request is oauth4webapi's; the response is read here,
 * as strictly as a token. Rules I1, I2, I6, I7.
 */
import { introspectionRequest, type ClientAuth } from 'oauth4webapi';
import { isJson } from '../http/media-type.ts';
import {
  type AuthorizationServerResponse,
  type AuthorizationServerClient,
} from './authorization-server-client.ts';
import { refuseBusy, type TokenStatusSource, type Verdict } from './authorization-server-guard.ts';
import { isJsonObject, type JsonValue } from './claims.ts';
import { clientAuthentication, type ClientCredentials } from './client-authentication.ts';
import { sendOAuthRequest } from './oauth-request.ts';
import type { SignedIntrospection } from './signed-introspection.ts';
import { parseStrictJson } from './strict-json.ts';
import type { TokenCaller } from './token-verifier.ts';

export interface IntrospectionEndpoint {
  readonly url: string;
  /** For whom a client assertion is made; undefined: nothing needs it. */
  readonly issuer: string | undefined;
  readonly credentials: ClientCredentials;
  /** Undefined: responses are plain JSON. */
  readonly signed: SignedIntrospection | undefined;
  readonly timeoutMs: number;
}

/** In place of a client that the request does not name. */
const UNNAMED = 'unnamed';

export class IntrospectionClient implements TokenStatusSource {
  readonly #endpoint: IntrospectionEndpoint;
  readonly #client: AuthorizationServerClient;
  readonly #clientAuth: ClientAuth;

  constructor(endpoint: IntrospectionEndpoint, client: AuthorizationServerClient) {
    this.#endpoint = endpoint;
    this.#client = client;
    this.#clientAuth = clientAuthentication(endpoint.credentials);
  }

  async ask(token: string, caller: TokenCaller): Promise<Verdict> {
    const { signed } = this.#endpoint;
    const askedAtSeconds = signed?.nowSeconds ?? 0;
    const response = await this.#send(token);
    const refusal = refusalOf(response);
    if (refusal) return refusal;
    return verdictOf(signed ? await signed.read(response, askedAtSeconds, caller) : plainDocument(response));
  }

  async #send(token: string): Promise<AuthorizationServerResponse> {
    const { url, issuer, credentials, signed, timeoutMs } = this.#endpoint;
    const clientId = 'clientId' in credentials ? credentials.clientId : undefined;
    const options = { timeoutMs, withBearerToken: credentials.method === 'bearer' };
    return sendOAuthRequest(this.#client, options, (sending) =>
      introspectionRequest(
        { issuer: issuer ?? new URL(url).origin, introspection_endpoint: url },
        { client_id: clientId ?? UNNAMED },
        this.#clientAuth,
        token,
        {
          additionalParameters: { token_type_hint: 'access_token' },
          requestJwtResponse: signed !== undefined,
          ...sending,
        },
      ),
    );
  }
}

/**
 * A status that is not 200: undefined where it is.
 *
 * @throws Busy, or Error for one that says nothing about the token
 */
function refusalOf(response: AuthorizationServerResponse): Verdict | undefined {
  refuseBusy(response);
  if (response.status === 200) return undefined;
  if (saysInvalidToken(response)) return { active: false };
  // Not least 401 and 403, which are about the gateway's own credentials (rule I6).
  throw new Error(`the introspection endpoint answered ${response.status}`);
}

function plainDocument({ contentType, body }: AuthorizationServerResponse): JsonValue {
  if (!isJson(contentType)) throw new Error('the introspection endpoint answered no JSON');
  return parseStrictJson(body);
}

/**
 * RFC 7662 section 2.2. Only the boolean `true` is active and only the boolean `false` is not; anything else is a
 * server that does not work, which must not make a good token bad.
 */
function verdictOf(answer: JsonValue | undefined): Verdict {
  if (!isJsonObject(answer) || typeof answer['active'] !== 'boolean')
    throw new Error('the answer of the introspection endpoint has no boolean "active"');
  if (!answer['active']) return { active: false };
  const { active, ...claims } = answer;
  return active ? { active, claims } : { active };
}

/** Where some servers report a token that they do not know, although RFC 7662 section 2.2 asks for `active: false`. */
const INVALID_TOKEN_STATUSES: ReadonlySet<number> = new Set([400, 401, 422]);

/**
 * Only `invalid_token` (RFC 6750 section 3.1) is about the token. `invalid_request` may be about the request that the
 * gateway makes, and `invalid_client` is about its credentials: neither makes a good token bad.
 */
function saysInvalidToken({ status, contentType, body }: AuthorizationServerResponse): boolean {
  if (!INVALID_TOKEN_STATUSES.has(status) || !isJson(contentType)) return false;
  const problem = parseStrictJson(body);
  return isJsonObject(problem) && problem['error'] === 'invalid_token';
}
