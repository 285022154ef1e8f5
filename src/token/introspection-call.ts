/**
 * Asks an authorization server about a token by RFC 7662. The request is oauth4webapi's; the answer is read here,
 * as strictly as a token. Rules I1, I2, I6, I7.
 */
import {
  allowInsecureRequests,
  ClientSecretBasic,
  ClientSecretPost,
  customFetch,
  introspectionRequest,
  type ClientAuth,
} from 'oauth4webapi';
import { isJson } from '../http/media-type.ts';
import { type AuthorityAnswer, type AuthorityClient } from './authority-fetch.ts';
import { isJsonObject } from './claims.ts';
import type { OpaqueAuthority, Verdict } from './opaque-verifier.ts';
import { parseStrictJson } from './strict-json.ts';

export interface IntrospectionEndpoint {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly authMethod: 'client_secret_basic' | 'client_secret_post';
  readonly timeoutMs: number;
}

export class IntrospectionCall implements OpaqueAuthority {
  readonly #endpoint: IntrospectionEndpoint;
  readonly #client: AuthorityClient;
  readonly #clientAuth: ClientAuth;

  constructor(endpoint: IntrospectionEndpoint, client: AuthorityClient) {
    this.#endpoint = endpoint;
    this.#client = client;
    const { authMethod, clientSecret } = endpoint;
    this.#clientAuth =
      authMethod === 'client_secret_post' ? ClientSecretPost(clientSecret) : ClientSecretBasic(clientSecret);
  }

  async ask(token: string): Promise<Verdict> {
    const { url, clientId, timeoutMs } = this.#endpoint;
    let answer: AuthorityAnswer | undefined;
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
          answer = await this.#client.send({
            url: endpoint,
            method,
            headers,
            body: body.toString(),
            timeoutMs,
          });
          return new Response(null, { status: answer.status });
        },
      },
    );
    if (answer === undefined) throw new Error('nobody was asked');
    return readAnswer(answer);
  }
}

/**
 * RFC 7662 section 2.2. Only the boolean `true` is active and only the boolean `false` is not; anything else is a
 * server that does not work, which must not make a good token bad.
 */
function readAnswer({ status, contentType, body }: AuthorityAnswer): Verdict {
  // 401 and 403 are about the gateway's own credentials (rule I6).
  if (status !== 200) throw new Error(`the introspection endpoint answered ${status}`);
  if (!isJson(contentType)) throw new Error('the introspection endpoint answered no JSON');
  const answer = parseStrictJson(body);
  if (!isJsonObject(answer) || typeof answer['active'] !== 'boolean')
    throw new Error('the answer of the introspection endpoint has no boolean "active"');
  if (!answer['active']) return { active: false };
  const { active, ...claims } = answer;
  return active ? { active, claims } : { active };
}
