/**
 * The protocol of MCP of 2026-07-28 through the gateway, by version 2 of the official SDK: requests without a session, and a header
 * that names the tool, by which the routes of one URL ask for different scopes. Rule P1.
 */
import t, { type Test } from 'tap';
import { send } from '../support/client.ts';
import { App } from './mcp/app.ts';
import { requestsTo, startScene } from './mcp/scene.ts';
import { installSdk2, loadSdk2, startOrderServer2 } from './mcp/sdk-2.ts';
import { notInstalled } from './support/installed.ts';

const skip = notInstalled('Version 2 of the SDK of MCP', installSdk2);
const VERSION = '2026-07-28';

async function setScene(t: Test) {
  const sdk = await loadSdk2();
  const server = await startOrderServer2(t, sdk);
  const discover = { 'mcp-protocol-version': VERSION, 'mcp-method': 'server/discover' };
  const list = { 'mcp-protocol-version': VERSION, 'mcp-method': 'tools/call', 'mcp-name': 'list' };
  const scene = await startScene(t, server, [
    { name: 'discover', path: '/mcp', scopes: ['orders:read'], headers: discover },
    { name: 'list', path: '/mcp', scopes: ['orders:read'], headers: list },
    { name: 'everything', path: '/mcp', scopes: ['orders:read', 'orders:write'] },
  ]);
  const app = new App(sdk, { refreshes: true, options: { versionNegotiation: { mode: { pin: VERSION } } } });
  return { sdk, server, app, ...scene };
}

t.test('P1 tools of one URL ask for different scopes, and a client asks for them', { skip }, async (t) => {
  const { server, app, gateway, resource } = await setScene(t);
  const first = await app.connect(resource);
  t.match(await first.client.callTool({ name: 'list' }), { content: [{ text: 'list for alice' }] });
  t.equal(app.logins[0]?.searchParams.get('scope'), 'orders:read');
  t.equal(app.logins[0]?.searchParams.get('resource'), resource);
  await t.rejects(first.client.callTool({ name: 'cancel' }), 'the user has to log in');
  t.equal(app.logins[1]?.searchParams.get('scope'), 'orders:read orders:write');
  t.equal(requestsTo(gateway).filter((request) => request === 'POST /mcp 403').length, 1);
  await app.finish(first.transport);
  t.match(await first.client.callTool({ name: 'cancel' }), { content: [{ text: 'cancel for alice' }] });
  t.strictSame(server.seen, [
    { name: 'list', user: 'alice', authorization: undefined },
    { name: 'cancel', user: 'alice', authorization: undefined },
  ]);
  await first.client.close();
});

t.test('a request that names another tool than it calls reaches no tool', { skip }, async (t) => {
  const { server, app, gateway, resource } = await setScene(t);
  await (await app.connect(resource)).client.close();
  const about = {
    protocolVersion: VERSION,
    clientInfo: { name: 'app', version: '1' },
    clientCapabilities: {},
  };
  const _meta = Object.fromEntries(
    Object.entries(about).map(([name, value]) => [`io.modelcontextprotocol/${name}`, value]),
  );
  const call = async (names: readonly string[], name: string, meta: object): Promise<number> => {
    const { status } = await send(gateway.url, '/mcp', {
      method: 'POST',
      token: app.tokens?.access_token ?? '',
      headers: [
        ...['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'],
        ...['MCP-Protocol-Version', VERSION, 'Mcp-Method', 'tools/call'],
        ...names.flatMap((each) => ['Mcp-Name', each]),
      ],
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, ...meta } }),
    });
    return status;
  };
  t.equal(await call(['list'], 'list', { _meta }), 200);
  t.equal(server.seen.length, 1);
  t.equal(await call(['list'], 'cancel', { _meta }), 400, 'the server compares');
  t.equal(await call(['list'], 'cancel', {}), 400, 'also where the message is of an older version');
  t.equal(await call([], 'cancel', { _meta }), 403);
  t.equal(await call(['list', 'cancel'], 'cancel', { _meta }), 403);
  t.equal(await call(['cancel', 'list'], 'cancel', { _meta }), 403);
  t.equal(
    await call(['=?base64?bGlzdA==?='], 'list', { _meta }),
    403,
    'a spelling that the route does not know',
  );
  t.equal(server.seen.length, 1);
});
