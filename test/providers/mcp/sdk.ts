/** The official TypeScript SDK of MCP (Model Context Protocol), and what these tests use of it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { installed, run } from '../support/installed.ts';

const SDK = '@modelcontextprotocol/sdk';
const VERSION = '1.32.2';

export interface ToolResult {
  readonly content: readonly { readonly text: string }[];
}

export interface McpClient {
  onerror: ((error: Error) => void) | undefined;
  connect(transport: ClientTransport): Promise<void>;
  callTool(
    call: { readonly name: string },
    schema?: undefined,
    options?: { readonly onprogress: (progress: { readonly message: string }) => void },
  ): Promise<ToolResult>;
  setNotificationHandler(schema: unknown, handler: () => void): void;
  close(): Promise<void>;
}

export interface ClientTransport {
  readonly sessionId: string | undefined;
  finishAuth(code: string, issuer?: string): Promise<void>;
  terminateSession(): Promise<void>;
}

/** What a tool is given besides its arguments. */
export interface ToolCall {
  readonly signal: AbortSignal;
  readonly requestInfo: { readonly headers: IncomingMessage['headers'] };
  readonly _meta?: { readonly progressToken?: string | number };
  sendNotification(notification: { readonly method: string; readonly params: object }): Promise<void>;
}

export interface McpServer {
  registerTool(
    name: string,
    description: { readonly description: string },
    call: (call: ToolCall) => ToolResult | Promise<ToolResult>,
  ): { readonly name?: string };
  connect(transport: ServerTransport): Promise<void>;
  sendToolListChanged(): void;
}

export interface ServerTransport {
  readonly sessionId: string | undefined;
  handleRequest(request: IncomingMessage, response: ServerResponse): Promise<void>;
  close(): Promise<void>;
}

/** What an application needs of it; the same in version 2. */
export interface ClientSdk {
  readonly Client: new (
    about: { readonly name: string; readonly version: string },
    options?: object,
  ) => McpClient;
  readonly StreamableHTTPClientTransport: new (
    url: URL,
    options: { readonly authProvider: object },
  ) => ClientTransport;
  readonly UnauthorizedError: new () => Error;
}

export interface Sdk extends ClientSdk {
  readonly ToolListChangedNotificationSchema: unknown;
  readonly McpServer: new (about: { readonly name: string; readonly version: string }) => McpServer;
  readonly StreamableHTTPServerTransport: new (options: {
    readonly sessionIdGenerator: () => string;
    readonly onsessioninitialized: (id: string) => void;
    readonly onsessionclosed: (id: string) => void;
  }) => ServerTransport;
}

/** Installs it, where it is not yet. Returns the folder. */
export function installSdk(): string {
  return installed(`mcp-sdk-${VERSION}`, [], (folder) => {
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    run('npm', ['install', '--no-fund', '--no-audit', '--ignore-scripts', `${SDK}@${VERSION}`], folder);
  });
}

export async function loadSdk(): Promise<Sdk> {
  const folder = join(installSdk(), 'node_modules', SDK, 'dist', 'esm');
  const parts = [
    'client/index',
    'client/auth',
    'client/streamableHttp',
    'server/mcp',
    'server/streamableHttp',
    'types',
  ];
  const modules = parts.map((part) => import(pathToFileURL(join(folder, `${part}.js`)).href));
  return Object.assign({}, ...(await Promise.all(modules))) as Sdk;
}
