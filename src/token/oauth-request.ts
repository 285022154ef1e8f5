/**
 * Sends a request of oauth4webapi through the client for authorization servers, and hands over the response unread: it is read as
 * strictly as a token, which that library does not. I/O.
 */
import { allowInsecureRequests, customFetch } from 'oauth4webapi';
import type {
  AuthorizationServerClient,
  AuthorizationServerResponse,
} from './authorization-server-client.ts';

interface RequestOptions {
  /** Of the call. */
  readonly timeoutMs: number;
  /** Does the token of the configured access authenticate the gateway, in the place of a client's credentials? */
  readonly withBearerToken: boolean;
}

/** What oauth4webapi takes as the last argument of each request. */
export interface OAuthOptions {
  readonly [allowInsecureRequests]: true;
  readonly [customFetch]: (
    endpoint: string,
    request: {
      readonly method: 'POST';
      readonly headers: Record<string, string>;
      readonly body: URLSearchParams;
    },
  ) => Promise<Response>;
}

/** @param request makes one request of oauth4webapi with these options */
export async function sendOAuthRequest(
  client: AuthorizationServerClient,
  { timeoutMs, withBearerToken }: RequestOptions,
  request: (options: OAuthOptions) => Promise<unknown>,
): Promise<AuthorizationServerResponse> {
  let response: AuthorizationServerResponse | undefined;
  await request({
    // The configuration has decided whether http:// may be used (rule K4).
    [allowInsecureRequests]: true,
    [customFetch]: async (url, { method, headers, body }) => {
      response = await client.send({
        url,
        method,
        headers,
        body: body.toString(),
        timeoutMs,
        withBearerToken,
      });
      return new Response(null, { status: response.status });
    },
  });
  if (response === undefined) throw new Error('no request was sent');
  return response;
}
