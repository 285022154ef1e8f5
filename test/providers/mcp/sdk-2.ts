/** Version 2 of the official TypeScript SDK of MCP, which speaks the protocol of 2026-07-28: no sessions, and headers that name the tool. */
import type { RequestListener } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Test } from 'tap';
import { startServer } from '../../support/upstream.ts';
import { installed, run } from '../support/installed.ts';
import type { ClientSdk, ToolResult } from './sdk.ts';

const PACKAGES = ['client@2.4.0', 'server@2.4.0', 'node@2.1.2'].map(
  (name) => `@modelcontextprotocol/${name}`,
);

interface Handler {
  close(): Promise<void>;
}

export interface Sdk2 extends ClientSdk {
  readonly McpServer: new (about: { readonly name: string; readonly version: string }) => {
    registerTool(name: string, description: object, call: () => ToolResult): void;
  };
  readonly createMcpHandler: (
    serverFor: (context: { readonly requestInfo: Request }) => object,
    options: { readonly legacy: 'reject' },
  ) => Handler;
  readonly toNodeHandler: (handler: Handler) => RequestListener;
}

export function installSdk2(): string {
  return installed('mcp-sdk-2.4.0', [], (folder) => {
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    run('npm', ['install', '--no-fund', '--no-audit', '--ignore-scripts', ...PACKAGES], folder);
  });
}

export async function loadSdk2(): Promise<Sdk2> {
  const folder = join(installSdk2(), 'node_modules', '@modelcontextprotocol');
  const modules = ['client', 'server', 'node'].map(
    (name) => import(pathToFileURL(join(folder, name, 'dist', 'index.mjs')).href),
  );
  return Object.assign({}, ...(await Promise.all(modules))) as Sdk2;
}

/** A server of two tools at one URL. It serves the protocol of 2026-07-28 and none before. */
export async function startOrderServer2(t: Test, sdk: Sdk2) {
  const seen: { readonly name: string; readonly user: string; readonly authorization: string | undefined }[] =
    [];
  const handler = sdk.createMcpHandler(
    ({ requestInfo: { headers } }) => {
      const server = new sdk.McpServer({ name: 'orders', version: '1.0.0' });
      const user = headers.get('x-user-id') ?? '';
      for (const name of ['list', 'cancel'])
        server.registerTool(name, { description: name }, () => {
          seen.push({ name, user, authorization: headers.get('authorization') ?? undefined });
          return { content: [{ text: `${name} for ${user}`, ...{ type: 'text' } }] };
        });
      return server;
    },
    { legacy: 'reject' },
  );
  t.teardown(() => handler.close());
  return { url: await startServer(t, sdk.toNodeHandler(handler)), seen };
}
