/**
 * The access token that the gateway itself shows to a transmitter, by the client credentials grant (RFC 6749 section 4.4). The
 * request is oauth4webapi's; the response is read here, as strictly as a token. I/O.
 */
import { clientCredentialsGrantRequest, type ClientAuth } from 'oauth4webapi';
import type { Clock } from '../clock.ts';
import { isJson } from '../http/media-type.ts';
import type {
  AuthorizationServerClient,
  AuthorizationServerResponse,
} from '../token/authorization-server-client.ts';
import { isJsonObject, numberOf, stringClaim } from '../token/claims.ts';
import { clientAuthentication, type ClientCredentials } from '../token/client-authentication.ts';
import { sendOAuthRequest } from '../token/oauth-request.ts';
import { parseStrictJson } from '../token/strict-json.ts';
import { B64TOKEN } from '../token/token-text.ts';

export interface TokenEndpoint {
  readonly url: string;
  /** For whom a client assertion is made: the authorization server. */
  readonly issuer: string;
  readonly credentials: Exclude<ClientCredentials, { readonly method: 'bearer' | 'none' }>;
  /** Separated by spaces; undefined: what the server gives by default. */
  readonly scope: string | undefined;
  readonly timeoutMs: number;
}

/** Of a token whose server does not say how long it lives. */
const LIFE_WHERE_NONE_IS_NAMED_SECONDS = 300;
/** So much of its life, and no more, a token is used: a call that begins at its end would arrive after it. */
const USED_SHARE = 0.9;
/** However long the server says: a token of a mistaken server is replaced within a day. */
const MAX_LIFE_SECONDS = 86_400;

export class ClientCredentialsToken {
  readonly #endpoint: TokenEndpoint;
  readonly #client: AuthorizationServerClient;
  readonly #clock: Clock;
  readonly #clientAuth: ClientAuth;
  #current: { readonly token: string; readonly untilMs: number } | undefined;
  #asking: Promise<string> | undefined;

  constructor(endpoint: TokenEndpoint, client: AuthorizationServerClient, clock: Clock) {
    this.#endpoint = endpoint;
    this.#client = client;
    this.#clock = clock;
    this.#clientAuth = clientAuthentication(endpoint.credentials);
  }

  /** @throws Error where the server gives none */
  async token(): Promise<string> {
    if (this.#current && this.#clock.monotonicMs() < this.#current.untilMs) return this.#current.token;
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /** The transmitter does not take this one any more. */
  forget(token: string): void {
    if (this.#current?.token === token) this.#current = undefined;
  }

  async #ask(): Promise<string> {
    const askedAtMs = this.#clock.monotonicMs();
    const { token, lifeSeconds } = tokenOf(await this.#send());
    this.#current = { token, untilMs: askedAtMs + lifeSeconds * USED_SHARE * 1000 };
    return token;
  }

  async #send(): Promise<AuthorizationServerResponse> {
    const { url, issuer, credentials, scope, timeoutMs } = this.#endpoint;
    return sendOAuthRequest(this.#client, { timeoutMs, withBearerToken: false }, (sending) =>
      clientCredentialsGrantRequest(
        { issuer, token_endpoint: url },
        { client_id: credentials.clientId },
        this.#clientAuth,
        scope === undefined ? {} : { scope },
        sending,
      ),
    );
  }
}

/** RFC 6749 section 5.1. */
function tokenOf({ status, contentType, body }: AuthorizationServerResponse): {
  readonly token: string;
  readonly lifeSeconds: number;
} {
  if (status !== 200) throw new Error(`the token endpoint responded ${status}`);
  const document = isJson(contentType) ? parseStrictJson(body) : undefined;
  if (!isJsonObject(document)) throw new Error('the token endpoint responded with no JSON object');
  const token = stringClaim(document, 'access_token') ?? '';
  if (!B64TOKEN.test(token)) throw new Error('the response of the token endpoint has no access_token');
  if (stringClaim(document, 'token_type')?.toLowerCase() !== 'bearer')
    throw new Error('the token endpoint gave a token of another type than Bearer');
  const said = numberOf(document['expires_in']) ?? LIFE_WHERE_NONE_IS_NAMED_SECONDS;
  return { token, lifeSeconds: Math.min(Math.max(said, 0), MAX_LIFE_SECONDS) };
}
