/** docs/how-to/browser-login.md with a real oauth2-proxy, which logs a browser in at a real Hydra. Rules B7, V1, V14. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { fileIn } from '../support/document.ts';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { nowSeconds } from '../support/tokens.ts';
import { startUpstream, type HttpUpstream } from '../support/upstream.ts';
import { API, program as hydraProgram, startHydra, SUBJECT, type Hydra } from './hydra/server.ts';
import { installed, notInstalled, run, sourceOf } from './support/installed.ts';
import { Browser } from './support/oauth-client.ts';
import { startServerProcess } from './support/server-process.ts';
import { missing } from './support/toolchain.ts';

const PAGE = 'how-to/browser-login.md';
const SECRET = 'secret of the app';

function program(): string {
  const sources = ['oauth2-proxy/go.mod', 'oauth2-proxy/go.sum'].map(sourceOf);
  const folder = installed('oauth2-proxy', sources, (folder) => {
    const build = ['build', '-buildvcs=false', '-trimpath', '-ldflags', '-s -w', '-o', folder];
    run('go', [...build, 'github.com/oauth2-proxy/oauth2-proxy/v7'], sourceOf('oauth2-proxy'), {
      GOFLAGS: '-p=2',
    });
  });
  return join(folder, 'oauth2-proxy');
}

const skip =
  missing('Go') || notInstalled('Ory Hydra', hydraProgram) || notInstalled('oauth2-proxy', program);

interface Scene {
  readonly hydra: Hydra;
  readonly gateway: TestGateway;
  readonly upstream: HttpUpstream;
  /** Where browsers come to. */
  readonly app: string;
}

/** Each text of the page in place of another; each must be there. */
function replaced(text: string, replacements: Record<string, string>): string {
  return Object.entries(replacements).reduce((result, [written, instead]) => {
    if (!result.includes(written)) throw new Error(`docs/${PAGE} does not say ${written}:\n${text}`);
    return result.replaceAll(written, instead);
  }, text);
}

async function startScene(t: Test): Promise<Scene> {
  const [hydra, upstream] = [await startHydra(t), await startUpstream(t)];
  const port = await freePort();
  const app = `http://127.0.0.1:${port}`;
  await hydra.admin('POST', '/clients', {
    client_id: 'app',
    client_secret: SECRET,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: [`${app}/oauth2/callback`],
    scope: 'openid offline orders:read',
    audience: [API],
    access_token_strategy: 'jwt',
  });
  const { issuers, ...rest } = parse(
    replaced(fileIn(PAGE, 'sallyport.yaml').text, {
      'https://login.example.com': hydra.url,
      'http://127.0.0.1:3000': upstream.url,
      'https://api.example.com': API,
    }),
  ) as Record<string, Record<string, object>>;
  const { listeners: _, ...configuration } = rest;
  const gateway = await startGateway(t, { ...configuration, issuers });
  const folder = temporaryFolder(t);
  const place = {
    'https://app.example.com': app,
    '"__Host-login"': '"login"',
    'cookie_secure = true': 'cookie_secure = false',
  };
  const files = {
    'oauth2-proxy.cfg': replaced(fileIn(PAGE, 'oauth2-proxy.cfg').text, place),
    'oauth2-proxy.yaml': replaced(fileIn(PAGE, 'oauth2-proxy.yaml').text, {
      'https://login.example.com': hydra.url,
      '127.0.0.1:4180': `127.0.0.1:${port}`,
      'http://127.0.0.1:8080': gateway.url,
    }),
    'client.secret': SECRET,
    'cookie.secret': 'c'.repeat(32),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const command = [program(), '--config', 'oauth2-proxy.cfg', '--alpha-config', 'oauth2-proxy.yaml'];
  await startServerProcess(t, command, { cwd: folder, env: {}, readyUrl: `${app}/ready` });
  return { hydra, gateway, upstream, app };
}

if (skip) {
  t.test('oauth2-proxy', { skip }, async () => undefined);
} else {
  plays();
}

function plays(): void {
  t.test('a browser logs in with oauth2-proxy, and the service knows who it is', async (t) => {
    const { app, upstream, gateway, hydra } = await startScene(t);
    const browser = new Browser();
    const opened = (path: string) =>
      browser.open(`${app}${path}`).then((page) => browser.follow(page, 'none'));
    /** The status of a request that is no browser's, and what the service got of it. */
    const sent = async (url: string, headers: Record<string, string>) => {
      const before = upstream.seen.length;
      const response = await fetch(url, { redirect: 'manual', headers });
      await response.arrayBuffer();
      return { status: response.status, got: upstream.seen.slice(before).map((seen) => seen.headers) };
    };

    const first = await browser.open(`${app}/orders?id=7`);
    t.equal(first.status, 302, 'a browser without a cookie is sent to the login');
    t.equal(upstream.seen.length, 0);
    const page = await browser.follow(first, 'none');
    t.strictSame([page.status, page.url], [200, `${app}/orders?id=7`], 'and comes back to its page');
    const { headers = {} } = upstream.seen.at(-1) ?? {};
    t.match(headers, { 'x-user-id': SUBJECT, 'x-client-id': 'app' });
    t.equal(headers['authorization'], undefined, 'the token ends at the gateway');
    t.equal(headers['cookie'], undefined, 'the cookie of the login ends at oauth2-proxy');

    const { cookies } = browser;
    t.same(await sent(`${app}/api/orders`, {}), { status: 401, got: [] }, 'a script gets no login page');
    t.same(
      await sent(`${gateway.url}/orders`, { cookie: cookies }),
      { status: 401, got: [] },
      'B7 a cookie authenticates nothing at the gateway',
    );
    const others = { authorization: 'Bearer of.another.one', 'x-user-id': 'mallory' };
    const replaced = await sent(`${app}/orders`, { ...others, cookie: cookies });
    t.match(replaced, { status: 200, got: [{ 'x-user-id': SUBJECT }] }, 'what it sends itself is replaced');
    t.same(
      await sent(`${app}/orders`, others),
      { status: 302, got: [] },
      'a token is no login at oauth2-proxy',
    );

    const revoked = await gateway.admin('POST', '/v1/revocations', { subject: SUBJECT, issuer: 'login' });
    t.equal(revoked.status, 201);
    await revoked.arrayBuffer();
    t.equal((await opened('/orders')).status, 401, 'V1 a revoked user is refused at the next request');
    // What is issued from here on is later than the revocation.
    const second = nowSeconds();
    await until(() => nowSeconds() > second);
    const again = await opened('/oauth2/sign_out?rd=%2Forders');
    t.strictSame(
      [again.status, again.url],
      [401, `${app}/orders`],
      'V14 the same login stays refused, with a new token too',
    );

    await hydra.admin('DELETE', `/oauth2/auth/sessions/login?subject=${SUBJECT}`);
    t.equal((await opened('/oauth2/sign_out?rd=%2Forders')).status, 200, 'a new login works');
  });
}
