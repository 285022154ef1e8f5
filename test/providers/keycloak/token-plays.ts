/** Keycloak’s tokens: who passes where, and what services read. Rules D13, J18, V4. */
import type { Test } from 'tap';
import { commandLineAgrees } from '../support/command-line.ts';
import { createDpopKey } from '../support/dpop.ts';
import { Browser, claimsIn, headerOf, postAs } from '../support/oauth-client.ts';
import { configurationOfPage } from '../support/page.ts';
import { startScene } from '../support/scene.ts';
import * as realm from './realm.ts';
import { configurationOf, PATHS, type Shop } from './shop.ts';

export function tokenPlays(t: Test, shop: Shop): void {
  t.test('a user who logs in at Keycloak by code and PKCE is known to the service', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token, id_token } = await shop.loginInBrowser();
    const { sub } = claimsIn(id_token ?? '');
    const seen = await scene.passes(t, access_token, '/orders');
    t.equal(seen['x-user-id'], sub);
    t.equal(seen['x-client-id'], realm.WEB.id);
    t.equal(seen['x-token-issuer'], shop.issuer);
    t.ok(seen['x-roles']?.split(',').includes('manager'), String(seen['x-roles']));
    t.ok(seen['x-scopes']?.split(' ').includes('orders:read'), String(seen['x-scopes']));
  });

  t.test('a service with client credentials is known by its client', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token } = await shop.service(realm.JOB);
    const seen = await scene.passes(t, access_token, '/orders');
    t.equal(seen['x-client-id'], realm.JOB.id);
    t.equal(seen['x-user-id'], claimsIn(access_token)['sub'], 'its service account is its subject');
    t.equal(seen['x-roles'], undefined);
  });

  t.test('scopes, realm roles and client roles of Keycloak decide', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const alice = (await shop.login()).access_token;
    const bob = (await shop.login(realm.WEB, realm.BOB, 'openid')).access_token;
    await scene.passes(t, alice, '/orders');
    await scene.refuses(t, alice, '/changes', 'insufficient_scope');
    await scene.refuses(t, bob, '/orders', 'insufficient_scope');
    await scene.passes(t, (await shop.login(realm.WEB, realm.BOB, 'orders:write')).access_token, '/changes');
    for (const path of ['/managers', '/approvals']) {
      await scene.passes(t, alice, path);
      await scene.refuses(t, bob, path, 'claim_rule');
    }
    await scene.passes(t, bob, '/all');
  });

  t.test('a token for a client that has nothing to do with the API is refused', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token } = await shop.login(realm.STRANGER);
    t.equal(claimsIn(access_token)['aud'], undefined);
    for (const path of PATHS) await scene.refuses(t, access_token, path, OTHERS);
  });

  t.test('J1 with its RFC 9068 option, Keycloak’s tokens pass as at+jwt, and only they', async (t) => {
    const strict = await startScene(t, configurationOf(shop, { token_type: 'at+jwt' }));
    const option = (await shop.login(realm.RFC9068)).access_token;
    t.equal(headerOf(option)['typ'], 'at+jwt');
    const seen = await strict.passes(t, option, '/orders');
    t.equal(seen['x-client-id'], realm.RFC9068.id);
    const plain = await shop.login();
    await strict.refuses(t, plain.access_token, '/orders', 'wrong_type');
    await strict.refuses(t, plain.id_token ?? '', '/orders', 'wrong_type');
    const usual = await startScene(t, configurationOf(shop));
    await usual.passes(t, option, '/orders', 'without the demand for at+jwt');
  });

  t.test('a lightweight token passes by introspection, with all that Keycloak knows', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token } = await shop.login(realm.LIGHT);
    const said = claimsIn(access_token);
    t.strictSame([said['sub'], said['auth_time'], said['aud']], [undefined, undefined, undefined]);
    t.type(said['sid'], 'string');
    const seen = await scene.passes(t, access_token, '/light');
    t.equal(seen['x-client-id'], realm.LIGHT.id);
    t.ok(seen['x-roles']?.split(',').includes('manager'), String(seen['x-roles']));
    t.match(seen['x-user-id'], /^[\w-]{36}$/);
    await scene.refuses(
      t,
      access_token,
      '/orders',
      'wrong_audience',
      'without introspection it says too little',
    );
    const weak = (await shop.login(realm.LIGHT, realm.BOB, 'openid')).access_token;
    await scene.refuses(t, weak, '/light', 'insufficient_scope');
  });

  t.test('a lightweight token of a session that ended is refused at once without a cache', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token, refresh_token = '' } = await shop.login(realm.LIGHT);
    await scene.passes(t, access_token, '/light');
    t.equal((await postAs(realm.LIGHT, shop.endpoint('logout'), { refresh_token })).status, 204);
    await scene.refuses(t, access_token, '/light', 'inactive');
  });

  t.test('J18 ID tokens and refresh tokens of Keycloak are refused on every route', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { id_token = '', refresh_token = '' } = await shop.loginInBrowser();
    const offline =
      (await shop.login(realm.WEB, realm.ALICE, 'openid offline_access orders:read')).refresh_token ?? '';
    t.strictSame(
      [id_token, refresh_token, offline].map((token) => claimsIn(token)['typ']),
      ['ID', 'Refresh', 'Offline'],
    );
    for (const path of PATHS)
      for (const token of [id_token, refresh_token, offline]) await scene.refuses(t, token, path, OTHERS);
  });

  t.test('J18 an ID token is refused for what it is, also where its audience is accepted', async (t) => {
    const audiences = [realm.API, realm.WEB.id, shop.issuer];
    const scene = await startScene(t, configurationOf(shop, { audiences }));
    await scene.refuses(t, (await shop.login()).id_token ?? '', '/all', 'wrong_type');
  });

  t.test('D13 a DPoP-bound token of Keycloak is refused as a bearer token', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const key = createDpopKey();
    const dpop = key.proof('POST', shop.endpoint('token'));
    const tokens = await shop.login(realm.BOUND, realm.ALICE, 'openid orders:read', { dpop });
    t.match(claimsIn(tokens.access_token), { cnf: { jkt: key.thumbprint } });
    for (const path of ['/orders', '/all', '/light'])
      await scene.refuses(t, tokens.access_token, path, 'binding');
  });

  t.test('the configurations of its page work with a real Keycloak as they stand', async (t) => {
    const issuer = { 'https://login.example.com/realms/acme': shop.issuer };
    const scene = await startScene(t, configurationOfPage('keycloak', 0, issuer));
    const { access_token, id_token = '' } = await shop.login();
    const service = (await shop.service(realm.JOB)).access_token;
    t.equal((await scene.passes(t, access_token, '/orders'))['x-client-id'], realm.WEB.id);
    await scene.refuses(t, id_token, '/orders', 'wrong_type');
    const listening = configurationOfPage('keycloak', 2, {
      ...issuer,
      'host: api.example.com': 'host: 127.0.0.1',
    });
    const withLogout = await startScene(t, listening);
    await withLogout.passes(t, access_token, '/orders');
    await withLogout.refuses(t, service, '/orders', 'claim', 'it has no session');
    const second = configurationOfPage('keycloak', 1, {
      ...issuer,
      'client_secret_file: keycloak-client-secret': `client_secret: ${realm.API_CLIENT.secret}`,
    });
    const asking = await startScene(t, second);
    const light = (await shop.login(realm.LIGHT)).access_token;
    t.equal((await asking.passes(t, light, '/orders'))['x-client-id'], realm.LIGHT.id);
    await asking.refuses(t, id_token, '/orders', ['wrong_type', 'inactive']);
  });

  t.test(
    'check --online reaches Keycloak, and explain agrees with the gateway about its tokens',
    async (t) => {
      const { access_token, id_token = '', refresh_token = '' } = await shop.login();
      const light = (await shop.login(realm.LIGHT)).access_token;
      await commandLineAgrees(t, configurationOf(shop), {
        passing: [
          [access_token, '/orders'],
          [access_token, '/light'],
          [light, '/light'],
        ],
        refused: [
          [access_token, '/changes'],
          [light, '/orders'],
          ...[id_token, refresh_token].flatMap((token) => [
            [token, '/orders'] as const,
            [token, '/light'] as const,
          ]),
        ],
      });
    },
  );

  t.test('a browser that is logged in gets a second token without a password', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const browser = new Browser();
    const first = await shop.loginInBrowser(realm.WEB, realm.ALICE, browser);
    const second = await shop.loginInBrowser(realm.WEB, realm.ALICE, browser);
    t.equal(claimsIn(second.access_token)['sid'], claimsIn(first.access_token)['sid'], 'one session');
    await scene.passes(t, second.access_token, '/orders');
  });
}

/** What is no access token for the API, for whichever reason is found first. */
const OTHERS = [
  'wrong_audience',
  'wrong_type',
  'unknown_key',
  'inactive',
  'malformed',
  'bad_signature',
] as const;
