/** Logouts at Keycloak that end tokens here, and revocations here that Keycloak does not know of. Rules V1, V4, V14. */
import type { Test } from 'tap';
import { until } from '../../support/gateway.ts';
import { nowSeconds } from '../../support/tokens.ts';
import { startServer } from '../../support/upstream.ts';
import { Browser, claimsIn, postAs, type Tokens } from '../support/oauth-client.ts';
import { startScene, type Scene } from '../support/scene.ts';
import * as realm from './realm.ts';
import { configurationOf, LOGOUT_PATH, type Shop } from './shop.ts';

/** A scene whose gateway Keycloak tells of logouts of the client web. Returns the logout tokens that come as well. */
async function listening(t: Test, shop: Shop): Promise<{ scene: Scene; logoutTokens: string[] }> {
  const scene = await startScene(t, configurationOf(shop));
  const logoutTokens: string[] = [];
  const between = await startServer(t, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      logoutTokens.push(new URLSearchParams(body).get('logout_token') ?? '');
      const headers = { 'content-type': request.headers['content-type'] ?? '' };
      void fetch(`${scene.gateway.url}${LOGOUT_PATH}`, { method: 'POST', headers, body }).then(({ status }) =>
        response.writeHead(status).end(),
      );
    });
  });
  await realm.changeClient(shop.keycloak.admin, realm.WEB.id, {
    'backchannel.logout.url': `${between}${LOGOUT_PATH}`,
    'backchannel.logout.session.required': 'true',
  });
  return { scene, logoutTokens };
}

export function logoutPlays(t: Test, shop: Shop): void {
  const admin = shop.keycloak.admin;
  const sessionOf = ({ access_token }: Tokens): string => String(claimsIn(access_token)['sid']);
  const ways: Record<string, (tokens: Tokens, browser: Browser) => Promise<unknown>> = {
    'the user logs out in the browser': async ({ id_token = '' }, browser) => {
      const query = new URLSearchParams({ id_token_hint: id_token, client_id: realm.WEB.id });
      return browser.open(`${shop.endpoint('logout')}?${query.toString()}`);
    },
    'the application logs the user out': async ({ refresh_token = '' }) =>
      postAs(realm.WEB, shop.endpoint('logout'), { refresh_token }),
    'an administrator logs the user out': async () =>
      admin('POST', `/${realm.REALM}/users/${await realm.idOfUser(admin, realm.ALICE)}/logout`),
    'an administrator revokes the session': async (tokens) =>
      admin('DELETE', `/${realm.REALM}/sessions/${sessionOf(tokens)}`),
  };
  for (const [way, logOut] of Object.entries(ways))
    t.test(`V1 V14 ${way} at Keycloak, and the token is refused here`, async (t) => {
      const { scene, logoutTokens } = await listening(t, shop);
      const browser = new Browser();
      const tokens = await shop.loginInBrowser(realm.WEB, realm.ALICE, browser);
      const bob = await shop.login(realm.WEB, realm.BOB);
      await scene.passes(t, tokens.access_token, '/orders');
      await scene.passes(t, bob.access_token, '/orders');
      await logOut(tokens, browser);
      await scene.refuses(t, tokens.access_token, '/orders', 'revoked');
      await scene.passes(t, bob.access_token, '/orders', 'another user stays logged in');
      await scene.passes(t, (await shop.loginInBrowser()).access_token, '/orders', 'V4 a new login works');
      const logoutToken = logoutTokens.find((token) => claimsIn(token)['sid'] === sessionOf(tokens)) ?? '';
      t.match(claimsIn(logoutToken), { typ: 'Logout', aud: realm.WEB.id });
      await scene.refuses(t, logoutToken, '/all', 'wrong_type', 'the logout token itself');
      await t.rejects(shop.refresh(realm.WEB, tokens), 'Keycloak refreshes no session that ended');
    });

  t.test('V1 of what Keycloak sends no logout lives on, until it is revoked here', async (t) => {
    const { scene, logoutTokens } = await listening(t, shop);
    const user = await realm.idOfUser(admin, realm.BOB);
    const enable = (enabled: boolean): Promise<unknown> =>
      admin('PUT', `/${realm.REALM}/users/${user}`, { enabled });
    const offline = await shop.login(realm.WEB, realm.BOB, 'openid offline_access orders:read');
    const revoked = await shop.login(realm.WEB, realm.BOB);
    const disabled = await shop.login(realm.WEB, realm.BOB);
    t.equal(
      (await postAs(realm.WEB, shop.endpoint('revoke'), { token: revoked.refresh_token ?? '' })).status,
      200,
    );
    await enable(false);
    await t.rejects(shop.refresh(realm.WEB, disabled), 'Keycloak refreshes nothing of a disabled user');
    for (const { access_token } of [revoked, disabled]) await scene.passes(t, access_token, '/orders');
    t.strictSame(logoutTokens, []);

    await admin('POST', `/${realm.REALM}/users/${user}/logout`);
    await scene.refuses(t, disabled.access_token, '/orders', 'revoked', 'its session is told of');
    t.ok(logoutTokens.every((token) => claimsIn(token)['sid'] !== sessionOf(offline)));
    await scene.passes(t, offline.access_token, '/orders', 'an offline session is not');
    await scene.revokes(t, { issuer: 'login', subject: user });
    for (const { access_token } of [offline, revoked])
      await scene.refuses(t, access_token, '/orders', 'revoked');
    await enable(true);
  });

  t.test('V14 a session that is revoked here stays out, though Keycloak refreshes it', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const tokens = await shop.login();
    const other = await shop.login();
    await scene.passes(t, tokens.access_token, '/orders');
    await scene.revokes(t, { issuer: 'login', session: sessionOf(tokens) });
    await scene.refuses(t, tokens.access_token, '/orders', 'revoked');
    const refreshed = await shop.refresh(realm.WEB, tokens);
    t.not(refreshed.access_token, tokens.access_token);
    await scene.refuses(t, refreshed.access_token, '/orders', 'revoked');
    await scene.passes(t, other.access_token, '/orders', 'another session of the user');
  });

  t.test('V4 a user that is revoked here comes back by a new login only', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const browser = new Browser();
    const tokens = await shop.loginInBrowser(realm.WEB, realm.ALICE, browser);
    const direct = await shop.login();
    const light = await shop.login(realm.LIGHT);
    const bob = await shop.login(realm.WEB, realm.BOB);
    await scene.passes(t, light.access_token, '/light');
    await scene.revokes(t, { issuer: 'login', subject: claimsIn(tokens.access_token)['sub'] });
    const second = nowSeconds();
    await scene.refuses(t, direct.access_token, '/orders', 'revoked');
    await scene.refuses(t, light.access_token, '/light', 'revoked', 'introspection says whose it is');
    await scene.refuses(t, tokens.access_token, '/orders', 'revoked');
    await scene.passes(t, bob.access_token, '/orders', 'another user');
    await until(() => nowSeconds() > second);
    const refreshed = await shop.refresh(realm.WEB, tokens);
    await scene.refuses(
      t,
      refreshed.access_token,
      '/orders',
      'revoked',
      'a refresh is no new login: auth_time',
    );
    const silent = await shop.loginInBrowser(realm.WEB, realm.ALICE, browser);
    await scene.refuses(t, silent.access_token, '/orders', 'revoked', 'nor one within the SSO session');
    t.equal(claimsIn(direct.access_token)['auth_time'], undefined, 'the password grant has none');
    await scene.passes(t, (await shop.refresh(realm.WEB, direct)).access_token, '/orders');
    await scene.revokes(t, { issuer: 'login', session: sessionOf(direct) });
    await scene.refuses(t, (await shop.refresh(realm.WEB, direct)).access_token, '/orders', 'revoked');
    await scene.passes(t, (await shop.loginInBrowser()).access_token, '/orders', 'a new login');
  });

  t.test('a client that is revoked here is refused, other clients are not', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const web = (await shop.login()).access_token;
    const job = (await shop.service(realm.JOB)).access_token;
    await scene.revokes(t, { issuer: 'login', client: realm.WEB.id });
    await scene.refuses(t, web, '/orders', 'revoked');
    await scene.passes(t, job, '/orders');
  });

  t.test('one token is revoked by its text, on the route with introspection too', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const [first, second] = [(await shop.login()).access_token, (await shop.login()).access_token];
    for (const path of ['/orders', '/light']) await scene.passes(t, first, path);
    await scene.revokes(t, { token: first });
    for (const path of ['/orders', '/light']) {
      await scene.refuses(t, first, path, 'revoked');
      await scene.passes(t, second, path);
    }
  });
}
