/**
 * The demo (`npm run demo`): an authorization server, a cookie factory and the gateway, in one process. It
 * prints a ready curl for each step of the story; with `--script` it plays the story itself and checks every
 * answer.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Instance } from '../src/assembly/instance.ts';
import { loadConfiguration } from '../src/config/load.ts';
import { createLog } from '../src/telemetry/logger.ts';
import { startCookieFactory, type CookieFactory } from './cookie-factory.ts';
import { CLIENT, COOKIE_API, OPAQUE_RESOURCE, startIssuer, type DemoIssuer } from './issuer.ts';

interface Stage {
  readonly issuer: DemoIssuer;
  readonly factory: CookieFactory;
  readonly gateway: string;
  readonly admin: string;
  readonly adminToken: string;
  close(): Promise<void>;
}

/** Resolves to the exit code: 0, or 1 where an answer was not as the story goes. */
export async function playDemo(script: boolean): Promise<number> {
  const stage = await setStage(script);
  try {
    if (script) return await playScript(stage);
    printStory(stage);
    const { promise, resolve } = Promise.withResolvers<void>();
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
    await promise;
    return 0;
  } finally {
    await stage.close();
  }
}

/** The usual ports where they are free, for the eyes of a newcomer; any free ones for the script. */
async function setStage(script: boolean): Promise<Stage> {
  const port = async (usual: number): Promise<number> => (!script && (await isFree(usual)) ? usual : 0);
  const issuer = await startIssuer(await port(4000));
  const factory = await startCookieFactory(await port(3000));
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-demo-'));
  const adminToken = randomBytes(18).toString('base64url');
  const file = join(folder, 'demo.json');
  const configuration = demoConfiguration(issuer.url, factory.url, await port(8080), await port(9090));
  writeFileSync(join(folder, 'admin-token'), adminToken, { mode: 0o600 });
  writeFileSync(file, JSON.stringify(configuration, null, 2));
  // The story is told on the terminal; the access log would drown it.
  const instance = new Instance(loadConfiguration(file), createLog({ write: () => undefined }));
  await instance.start();
  await instance.ready();
  return {
    issuer,
    factory,
    gateway: `http://127.0.0.1:${instance.listeners[0]?.address.port}`,
    admin: `http://127.0.0.1:${instance.admin.address.port}`,
    adminToken,
    async close() {
      await instance.stop();
      await Promise.all([issuer.close(), factory.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function demoConfiguration(issuer: string, factory: string, port: number, adminPort: number): object {
  return {
    realm: 'cookie factory',
    listeners: [{ host: '127.0.0.1', port }],
    admin: { port: adminPort, token_file: 'admin-token' },
    issuers: {
      login: { issuer, discovery: true, audiences: [COOKIE_API] },
      login_opaque: {
        issuer,
        introspection: {
          url: `${issuer}/token/introspection`,
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
        },
        audiences: [OPAQUE_RESOURCE],
      },
      factory: { validation: { url: `${factory}/validate`, claims: '/claims', cache: '5s' } },
    },
    revocation: { store: 'sqlite:revocations.sqlite' },
    timeouts: { drain: '2s' },
    routes: [
      {
        name: 'cookies',
        match: { path_prefix: '/cookies' },
        upstream: 'factory',
        auth: { issuers: ['login', 'factory'], scopes: ['cookies:read'] },
      },
      {
        name: 'oven',
        match: { path_prefix: '/oven' },
        upstream: 'factory',
        auth: { issuers: ['login'], scopes: ['cookies:bake'] },
      },
      {
        name: 'jars',
        match: { path_prefix: '/jars' },
        upstream: 'factory',
        auth: { issuers: ['login_opaque'], scopes: ['cookies:read'] },
      },
    ],
    upstreams: { factory: { targets: [factory] } },
  };
}

async function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  return promise;
}

function printStory({ issuer, factory, gateway, admin, adminToken }: Stage): void {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const login = (scope: string, more = ''): string =>
    `curl -s ${issuer.url}/token -u ${CLIENT.id}:${CLIENT.secret} -d grant_type=client_credentials ${more}-d 'scope=${scope}' | node -pe 'JSON.parse(fs.readFileSync(0)).access_token'`;
  say(`
Sallyport demo: an authorization server at ${issuer.url}, a cookie factory at ${factory.url},
and the gateway in front of it at ${gateway}. Paste these into another terminal.

1. No token: 401, with the realm.
   curl -i ${gateway}/cookies

2. A login, and cookies. The factory says who it was told is calling.
   TOKEN=$(${login('cookies:read')})
   curl -i ${gateway}/cookies -H "Authorization: Bearer $TOKEN"

3. Too little scope for the oven: 403.
   curl -i ${gateway}/oven -H "Authorization: Bearer $TOKEN"

4. The token has leaked: revoke it, and it is refused at once.
   curl -i ${admin}/v1/revocations -H 'Authorization: Bearer ${adminToken}' -H 'Content-Type: application/json' -d "{\\"token\\":\\"$TOKEN\\",\\"reason\\":\\"leaked\\"}"
   curl -i ${gateway}/cookies -H "Authorization: Bearer $TOKEN"

5. A new login works again.
   TOKEN=$(${login('cookies:read')})
   curl -i ${gateway}/cookies -H "Authorization: Bearer $TOKEN"

6. A plain opaque token of the factory's own, which its /validate knows.
   TOKEN=$(curl -s -X POST ${factory.url}/issue | node -pe 'JSON.parse(fs.readFileSync(0)).token')
   curl -i ${gateway}/cookies -H "Authorization: Bearer $TOKEN"

7. An opaque token of the authorization server, which the gateway introspects (RFC 7662).
   TOKEN=$(${login('cookies:read', `-d resource=${OPAQUE_RESOURCE} `)})
   curl -i ${gateway}/jars -H "Authorization: Bearer $TOKEN"

Health, metrics and what is revoked:
   curl ${admin}/readyz?verbose
   curl -s ${admin}/metrics | grep sallyport_auth
   curl -s ${admin}/v1/revocations -H 'Authorization: Bearer ${adminToken}'

The admin page, with health, live charts and revocations: ${admin}/
   sign in with: ${adminToken}

Ctrl-C ends all of it.`);
}

/** One request of the script and what must come of it. */
interface Expected {
  readonly title: string;
  readonly status: number;
  readonly check?: (response: { readonly headers: Headers; readonly body: string }) => boolean;
}

async function playScript(stage: Stage): Promise<number> {
  const { gateway, admin, adminToken, factory } = stage;
  let failures = 0;
  const step = async (expected: Expected, request: () => Promise<Response>): Promise<void> => {
    const response = await request();
    const body = await response.text();
    const ok =
      response.status === expected.status && (expected.check?.({ headers: response.headers, body }) ?? true);
    if (!ok) failures++;
    process.stdout.write(
      `${ok ? 'ok  ' : 'FAIL'} ${expected.title}\n       ${response.status} ${body.trim()}\n`,
    );
  };
  const get = (path: string, token?: string) => (): Promise<Response> =>
    fetch(`${gateway}${path}`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
  const tellsFactory =
    (sub: string) =>
    ({ body }: { body: string }): boolean =>
      body.includes(`"x-user-id":"${sub}"`);

  const servedBefore = factory.served();
  await step(
    {
      title: 'no token: 401 with the realm',
      status: 401,
      check: ({ headers }) => headers.get('www-authenticate') === 'Bearer realm="cookie factory"',
    },
    get('/cookies'),
  );
  const token = await login(stage, 'cookies:read');
  await step(
    { title: 'a token: cookies', status: 200, check: tellsFactory(CLIENT.id) },
    get('/cookies', token),
  );
  await step(
    {
      title: 'too little scope: 403',
      status: 403,
      check: ({ headers }) => headers.get('www-authenticate')?.includes('insufficient_scope') === true,
    },
    get('/oven', token),
  );
  await step({ title: 'the token is revoked through the admin API: 201', status: 201 }, () =>
    fetch(`${admin}/v1/revocations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ token, reason: 'leaked' }),
    }),
  );
  const sinceMs = performance.now();
  await step(
    {
      title: 'the revoked token: 401',
      status: 401,
      check: ({ headers }) => headers.get('www-authenticate')?.includes('invalid_token') === true,
    },
    get('/cookies', token),
  );
  process.stdout.write(
    `       refused ${(performance.now() - sinceMs).toFixed(1)} ms after the admin API had answered\n`,
  );
  const next = await login(stage, 'cookies:read');
  await step(
    { title: 'a new login works again', status: 200, check: tellsFactory(CLIENT.id) },
    get('/cookies', next),
  );
  const { token: opaque } = (await (await fetch(`${factory.url}/issue`, { method: 'POST' })).json()) as {
    token: string;
  };
  await step(
    { title: "a plain opaque token of the factory's own", status: 200, check: tellsFactory('night-shift') },
    get('/cookies', opaque),
  );
  await step({ title: 'an opaque token that nobody knows: 401', status: 401 }, get('/cookies', 'made-up'));
  const introspected = await login(stage, 'cookies:read', { resource: OPAQUE_RESOURCE });
  await step(
    {
      title: 'an opaque token of the authorization server, introspected',
      status: 200,
      check: ({ body }) => body.includes(`"x-client-id":"${CLIENT.id}"`),
    },
    get('/jars', introspected),
  );
  const served = factory.served() - servedBefore;
  const onlyPermitted = served === 4;
  if (!onlyPermitted) failures++;
  process.stdout.write(
    `${onlyPermitted ? 'ok  ' : 'FAIL'} the factory saw ${served} requests: the 4 that were permitted\n`,
  );
  process.stdout.write(
    failures === 0 ? '\nthe story went as it should\n' : `\n${failures} answers were not as they should be\n`,
  );
  return failures === 0 ? 0 : 1;
}

async function login(
  { issuer }: Stage,
  scope: string,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const response = await fetch(`${issuer.url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope, ...more }),
  });
  const { access_token: token } = (await response.json()) as { access_token?: string };
  if (token === undefined)
    throw new Error(`the authorization server answered ${response.status} without a token`);
  return token;
}
