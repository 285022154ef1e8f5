/** A gateway between MCP clients and an MCP server, and the authorization server that both rely on. */
import type { Test } from 'tap';
import { startGateway, type TestGateway } from '../../support/gateway.ts';
import { freePort } from '../../support/redis.ts';
import { startMcpAuthorizationServer, type McpAuthorizationServer } from './authorization-server.ts';

export const PAGE = 'https://app.example.com';
/** As docs/tutorial-mcp.md says. */
const CORS = {
  origins: [PAGE],
  methods: ['GET', 'POST', 'DELETE'],
  headers: ['authorization', 'content-type', 'mcp-protocol-version', 'mcp-session-id'],
  expose_headers: ['mcp-session-id'],
};

export interface McpScene {
  readonly login: McpAuthorizationServer;
  readonly gateway: TestGateway;
  /** The identifier of the resource, and where the tools are. */
  readonly resource: string;
}

/** What a route asks of requests to it: scopes, and headers of the request if it is for those alone. */
interface RouteRules {
  readonly name: string;
  readonly path: string;
  readonly scopes: readonly string[];
  readonly sender_constrained?: 'optional';
  readonly headers?: Readonly<Record<string, string>>;
}

export const ROUTES: readonly RouteRules[] = [
  { name: 'tools', path: '/mcp', scopes: ['orders:read'] },
  { name: 'admin-tools', path: '/mcp/admin', scopes: ['orders:read', 'orders:write'] },
  // No client here needs its scope, so none asks for it.
  { name: 'reports', path: '/mcp/reports', scopes: ['orders:report'] },
];

export async function startScene(
  t: Test,
  server: { readonly url: string },
  routes: readonly RouteRules[] = ROUTES,
): Promise<McpScene> {
  const port = await freePort();
  const resource = `http://127.0.0.1:${port}/mcp`;
  const login = await startMcpAuthorizationServer(t, resource);
  const gateway = await startGateway(t, {
    listeners: [{ host: '127.0.0.1', port }],
    issuers: { login: { issuer: login.url, discovery: true } },
    routes: routes.map(({ name, path, headers, ...auth }) => ({
      name,
      match: { path_prefix: path, ...(headers && { headers }) },
      upstream: 'tools',
      public_url: resource,
      resource: true,
      auth,
      cors: CORS,
    })),
    upstreams: { tools: { targets: [server.url] } },
  });
  return { login, gateway, resource };
}

/** The paths that the gateway was asked for, with what it responded. */
export const requestsTo = ({ log }: TestGateway): string[] =>
  log
    .filter(({ msg }) => msg === 'request')
    .map(({ method, path, status }) => `${String(method)} ${String(path)} ${String(status)}`);
