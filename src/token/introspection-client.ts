/**
 * Asks an authorization server about a token by RFC 7662. The request is oauth4webapi's; the response is read here,
 * as strictly as a token. Rules I1, I2, I6, I7.
 */
import {
  allowInsecureRequests,
  ClientSecretPost,
  customFetch,
  introspectionRequest,
  type ClientAuth,
} from 'oauth4webapi';
import { isJson } from '../http/media-type.ts';
import {
  type AuthorizationServerResponse,
  type AuthorizationServerClient,
} from './authorization-server-client.ts';
import { refuseBusy, type TokenStatusSource, type Verdict } from './authorization-server-guard.ts';
import { isJsonObject } from './claims.ts';
import { parseStrictJson } from './strict-json.ts';

export interface IntrospectionEndpoint {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly authMethod: 'client_secret_basic' | 'client_secret_post';
  readonly timeoutMs: number;
}

export class IntrospectionClient implements TokenStatusSource {
  readonly #endpoint: IntrospectionEndpoint;
  readonly #client: AuthorizationServerClient;
  readonly #clientAuth: ClientAuth;

  constructor(endpoint: IntrospectionEndpoint, client: AuthorizationServerClient) {
    this.#endpoint = endpoint;
    this.#client = client;
    const { authMethod, clientSecret } = endpoint;
    this.#clientAuth =
      authMethod === 'client_secret_post' ? ClientSecretPost(clientSecret) : clientSecretBasic(clientSecret);
  }

  async ask(token: string): Promise<Verdict> {
    const { url, clientId, timeoutMs } = this.#endpoint;
    let response: AuthorizationServerResponse | undefined;
    await introspectionRequest(
      { issuer: new URL(url).origin, introspection_endpoint: url },
      { client_id: clientId },
      this.#clientAuth,
      token,
      {
        additionalParameters: { token_type_hint: 'access_token' },
        // The configuration has decided whether http:// may be used (rule K4).
        [allowInsecureRequests]: true,
        [customFetch]: async (endpoint, { method, headers, body }) => {
          response = await this.#client.send({
            url: endpoint,
            method,
            headers,
            body: body.toString(),
            timeoutMs,
          });
          return new Response(null, { status: response.status });
        },
      },
    );
    if (response === undefined) throw new Error('no request was sent');
    return readResponse(response);
  }
}

/**
 * RFC 7662 section 2.2. Only the boolean `true` is active and only the boolean `false` is not; anything else is a
 * server that does not work, which must not make a good token bad.
 */
function readResponse(response: AuthorizationServerResponse): Verdict {
  const { status, contentType, body } = response;
  refuseBusy(response);
  if (status !== 200) {
    if (saysInvalidToken(response)) return { active: false };
    // Not least 401 and 403, which are about the gateway's own credentials (rule I6).
    throw new Error(`the introspection endpoint answered ${status}`);
  }
  if (!isJson(contentType)) throw new Error('the introspection endpoint answered no JSON');
  const answer = parseStrictJson(body);
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

/**
 * RFC 6749 section 2.3.1. Not oauth4webapi's: that one also encodes `-`, `.`, `_` and `*`, which form encoding leaves
 * as they are, and servers that do not decode refuse every name with a hyphen then.
 */
function clientSecretBasic(clientSecret: string): ClientAuth {
  return (_server, { client_id }, _body, headers) => {
    const credentials = `${formEncoded(client_id)}:${formEncoded(clientSecret)}`;
    headers.set('authorization', `Basic ${btoa(credentials)}`);
  };
}

/** application/x-www-form-urlencoded: all but letters, digits and `*-._`; a space as `+`. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
