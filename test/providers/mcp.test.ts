/**
 * The official SDK of MCP as client and as server, with a gateway between them and a real authorization server (oidc-provider):
 * what the gateway says in challenges and metadata is all that the client knows. Rules P1, V10.
 */
import t, { type Test } from 'tap';
import { send } from '../support/client.ts';
import { until } from '../support/gateway.ts';
import { App, type Connection } from './mcp/app.ts';
import { startOrderServer } from './mcp/order-server.ts';
import { PAGE, requestsTo, ROUTES, startScene } from './mcp/scene.ts';
import { installSdk, loadSdk } from './mcp/sdk.ts';
import { notInstalled } from './support/installed.ts';
import { claimsIn, headerOf } from './support/oauth-client.ts';

const skip = notInstalled('The SDK of MCP', installSdk);
/** The SDK, and the scene with its server. */
async function setScene(t: Test, routes = ROUTES) {
  const sdk = await loadSdk();
  const server = await startOrderServer(t, sdk);
  return { sdk, server, ...(await startScene(t, server, routes)) };
}

const called = async ({ client }: Connection, name: string): Promise<string> =>
  (await client.callTool({ name })).content.map(({ text }) => text).join();

t.test('P1 a client that knows the URL alone gets a token for it, and calls a tool', { skip }, async (t) => {
  const { sdk, login, server, gateway, resource } = await setScene(t);
  const app = new App(sdk);
  const connection = await app.connect(resource);
  t.strictSame(requestsTo(gateway).slice(0, 2), [
    'POST /mcp 401',
    'GET /.well-known/oauth-protected-resource/mcp 200',
  ]);
  t.strictSame(
    login.asked.filter((request) => /well-known|reg$/.test(request)).slice(0, 3),
    // The gateway has asked before it was ready.
    ['GET /.well-known/openid-configuration', 'GET /.well-known/oauth-authorization-server', 'POST /reg'],
  );
  t.equal(app.logins.length, 1);
  t.match(Object.fromEntries(app.logins[0]?.searchParams ?? []), {
    resource,
    scope: 'orders:read',
    code_challenge_method: 'S256',
  });
  const token = app.tokens?.access_token ?? '';
  t.equal(headerOf(token)['typ'], 'at+jwt');
  t.match(claimsIn(token), { aud: resource, iss: login.url, sub: 'alice', scope: 'orders:read' });
  t.equal(await called(connection, 'list'), 'orders of alice');
  const [first] = server.seen;
  t.equal(
    server.seen.length > 0 && first?.headers['x-user-id'],
    'alice',
    'it saw no request before the login',
  );
  for (const { headers } of server.seen) {
    t.match(headers, { 'x-client-id': app.registration?.client_id, 'x-scopes': 'orders:read' });
    t.equal(headers.authorization, undefined);
  }
  await connection.client.close();
});

t.test('a session passes: its id, the stream of the server, its end', { skip }, async (t) => {
  const { sdk, server, resource } = await setScene(t);
  const { client, transport } = await new App(sdk).connect(resource);
  const id = transport.sessionId ?? '';
  t.ok(server.sessions.has(id));
  const { promise: changed, resolve } = Promise.withResolvers<void>();
  client.setNotificationHandler(sdk.ToolListChangedNotificationSchema, resolve);
  await until(() => server.seen.some(({ method }) => method === 'GET'));
  await until(() => {
    server.sessions.get(id)?.sendToolListChanged();
    return Promise.race([changed.then(() => true), new Promise<boolean>((no) => setImmediate(no, false))]);
  });
  t.pass('the client has the notification of the server');
  const later = server.seen.slice(1);
  t.ok(later.length > 1);
  for (const { headers } of later)
    t.match(headers, { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' });
  await transport.terminateSession();
  t.match(server.seen.at(-1), { method: 'DELETE', headers: { 'mcp-session-id': id } });
  t.notOk(server.sessions.has(id));
  await client.close();
});

t.test('P1 a tool that needs a further scope makes the client ask for it', { skip }, async (t) => {
  const { sdk, gateway, server, resource } = await setScene(t);
  const app = new App(sdk);
  await (await app.connect(resource)).client.close();
  const registration = app.registration;
  const seen = server.seen.length;
  const admin = await app.connect(`${resource}/admin`);
  t.equal(app.logins.length, 2);
  t.match(Object.fromEntries(app.logins[1]?.searchParams ?? []), {
    resource,
    scope: 'orders:read orders:write',
  });
  t.equal(app.registration, registration, 'it has registered once');
  t.equal(await called(admin, 'cancel'), 'cancelled by alice');
  t.equal(server.seen[seen]?.headers['x-scopes'], 'orders:read orders:write', 'nothing passed before');
  const requests = requestsTo(gateway);
  t.equal(requests.filter((request) => request === 'POST /mcp/admin 403').length, 1);
  t.strictSame(
    [...new Set(requests.filter((request) => request.includes('well-known')))],
    ['GET /.well-known/oauth-protected-resource/mcp 200'],
    'it has read the metadata where the challenge says, not where the path of the tools would lead',
  );
  const tools = await app.connect(resource);
  t.equal(await called(tools, 'list'), 'orders of alice', 'and the token serves the other tools, too');
  for (const { client } of [admin, tools]) await client.close();
});

t.test(
  'a client of the SDK with a refresh token does not step up until it forgets it',
  { skip },
  async (t) => {
    const { sdk, resource } = await setScene(t);
    const app = new App(sdk, { refreshes: true });
    await (await app.connect(resource)).client.close();
    t.ok(app.tokens?.refresh_token);
    await t.rejects(app.connect(`${resource}/admin`), { code: 403 });
    t.equal(app.logins.length, 1);
    const { refresh_token: _, ...rest } = app.tokens ?? { access_token: '', token_type: '' };
    app.tokens = rest;
    const admin = await app.connect(`${resource}/admin`);
    t.equal(await called(admin, 'cancel'), 'cancelled by alice');
    await admin.client.close();
  },
);

t.test('V10 a revoked user loses the streams that are open, and is asked to log in', { skip }, async (t) => {
  const { sdk, login, gateway, resource } = await setScene(t);
  const app = new App(sdk);
  const { client } = await app.connect(resource);
  const { promise: running, resolve } = Promise.withResolvers<void>();
  const { promise: ended, resolve: end } = Promise.withResolvers<Error>();
  const watching = client
    .callTool({ name: 'watch' }, undefined, {
      onprogress: ({ message }) => message === 'order 3' && resolve(),
    })
    .catch(String);
  await running;
  client.onerror = end;
  const revoked = Date.now();
  const { status } = await gateway.admin('POST', '/v1/revocations', { issuer: login.url, subject: 'alice' });
  t.equal(status, 201);
  t.match((await ended).message, 'SSE stream disconnected');
  t.comment(`${Date.now() - revoked} ms after the request to revoke`);
  await until(() => app.logins.length > 1);
  t.match(requestsTo(gateway).at(-2), /^(?:GET|POST) \/mcp 401$/);
  client.onerror = undefined;
  await client.close();
  t.match(await watching, 'Connection closed');
});

t.test('a page in a browser may do what the SDK does there', { skip }, async (t) => {
  const { sdk, gateway, resource } = await setScene(t);
  const app = new App(sdk);
  const { client, transport } = await app.connect(resource);
  const names = 'authorization,content-type,mcp-protocol-version,mcp-session-id';
  const asking = (method: string): string[] => [
    ...['Origin', PAGE, 'Access-Control-Request-Method', method],
    ...['Access-Control-Request-Headers', names],
  ];
  for (const method of ['GET', 'POST', 'DELETE']) {
    const { status, headers } = await send(gateway.url, '/mcp', {
      method: 'OPTIONS',
      headers: asking(method),
    });
    t.equal(status, 204);
    t.match(headers['access-control-allow-methods'], method);
    for (const name of names.split(',')) t.match(headers['access-control-allow-headers'], name);
  }
  const metadata = '/.well-known/oauth-protected-resource/mcp';
  const preflight = await send(gateway.url, metadata, { method: 'OPTIONS', headers: asking('GET') });
  t.match(preflight, { status: 204, headers: { 'access-control-allow-headers': '*, Authorization' } });
  const refused = await send(gateway.url, '/mcp', { method: 'POST', headers: ['Origin', PAGE] });
  t.match(refused, { status: 401, headers: { 'access-control-allow-origin': PAGE } });
  const exposed = String(refused.headers['access-control-expose-headers']).toLowerCase();
  for (const name of ['www-authenticate', 'mcp-session-id']) t.match(exposed, name);
  t.ok(transport.sessionId);
  await client.close();
});
