/** An MCP server with sessions, as the SDK makes one: two tools at /mcp, one at /mcp/admin. It checks no token. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { Test } from 'tap';
import { startServer, type SeenRequest } from '../../support/upstream.ts';
import type { McpServer, Sdk, ServerTransport, ToolCall, ToolResult } from './sdk.ts';

export interface OrderServer {
  readonly url: string;
  /** What it was sent, without bodies. */
  readonly seen: Omit<SeenRequest, 'body'>[];
  /** The sessions that are open, and the server of each. */
  readonly sessions: ReadonlyMap<string, McpServer>;
}

const text = (value: string): ToolResult => ({ content: [{ text: value, ...{ type: 'text' } }] });
const userOf = ({ requestInfo }: ToolCall): string => String(requestInfo.headers['x-user-id']);

/** Reports progress until its session is over. */
async function watch(call: ToolCall): Promise<ToolResult> {
  const progressToken = call._meta?.progressToken;
  for (let progress = 1; !call.signal.aborted; progress++) {
    const params = { progressToken, progress, message: `order ${progress}` };
    await call.sendNotification({ method: 'notifications/progress', params });
    await wait(10);
  }
  return text('done');
}

export async function startOrderServer(t: Test, sdk: Sdk): Promise<OrderServer> {
  const seen: OrderServer['seen'] = [];
  const sessions = new Map<string, McpServer>();
  const transports = new Map<string, ServerTransport>();
  const begin = async (path: string): Promise<ServerTransport> => {
    const server = new sdk.McpServer({ name: 'orders', version: '1.0.0' });
    if (path === '/mcp/admin')
      server.registerTool('cancel', { description: 'Cancels an order' }, (call) =>
        text(`cancelled by ${userOf(call)}`),
      );
    else {
      server.registerTool('list', { description: 'Lists orders' }, (call) =>
        text(`orders of ${userOf(call)}`),
      );
      server.registerTool('watch', { description: 'Tells new orders' }, watch);
    }
    const transport = new sdk.StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void (sessions.set(id, server), transports.set(id, transport)),
      onsessionclosed: (id) => void (sessions.delete(id), transports.delete(id)),
    });
    await server.connect(transport);
    return transport;
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers, rawHeaders } = request;
    seen.push({ method, url, headers, rawHeaders });
    const id = headers['mcp-session-id'];
    const transport = id === undefined ? await begin(url) : transports.get(String(id));
    if (transport) await transport.handleRequest(request, response);
    else response.writeHead(404).end();
  };
  const url = await startServer(t, (request, response) => void serve(request, response));
  // Calls outlive the requests that began them.
  t.teardown(() => Promise.all([...transports.values()].map((transport) => transport.close())));
  return { url, seen, sessions };
}
