/** oidc-provider as MCP clients expect an authorization server: they register themselves, and say for which resource they want a token. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Provider, type Configuration } from 'oidc-provider';
import type { Test } from 'tap';
import { createKey } from '../../support/tokens.ts';
import { startServer } from '../../support/upstream.ts';

export interface McpAuthorizationServer {
  readonly url: string;
  /** The paths of all requests, such as "GET /auth". */
  readonly asked: string[];
}

export const SCOPES = 'orders:read orders:write';

/** @param resource the identifier of the one resource that it knows */
export async function startMcpAuthorizationServer(
  t: Test,
  resource: string,
): Promise<McpAuthorizationServer> {
  const asked: string[] = [];
  let serve: (request: IncomingMessage, response: ServerResponse) => unknown = () => undefined;
  const url = await startServer(t, (request, response) => {
    asked.push(`${request.method} ${request.url?.split('?')[0]}`);
    void serve(request, response);
  });
  serve = new Provider(url, settings(resource)).callback();
  return { url, asked };
}

function settings(resource: string): Configuration {
  const { privateKey, kid, algorithm } = createKey('RS256', 'mcp');
  return {
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' }] },
    cookies: { keys: ['of the tests'] },
    scopes: SCOPES.split(' '),
    features: {
      devInteractions: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo(_context, indicator) {
          if (indicator !== resource) throw new Error(`unknown resource ${indicator}`);
          return { scope: SCOPES, audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 600 };
        },
        useGrantedResource: () => true,
      },
    },
    extraClientMetadata: {
      properties: ['any'],
      // A client registers with the scopes of its first challenge alone.
      validator(_context, _key, _value, metadata) {
        metadata.scope = SCOPES;
      },
    },
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
  };
}
