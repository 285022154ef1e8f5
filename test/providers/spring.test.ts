/** Plays with a real Spring Authorization Server: what it issues, and what the gateway makes of it. Rules D13, J18, K0, K5, V4. */
import t from 'tap';
import { send } from '../support/client.ts';
import { proofKey } from '../support/proofs.ts';
import { until } from '../support/gateway.ts';
import { nowSeconds } from '../support/tokens.ts';
import { jar, OPAQUE, startSpring, USER, WEB } from './spring/server.ts';
import { configurationOf, PATHS, shopAt, type Shop } from './spring/shop.ts';
import { commandLineAgrees } from './support/command-line.ts';
import { createDpopKey } from './support/dpop.ts';
import { claimsIn, headerOf, postAs, type Client } from './support/oauth-client.ts';
import { configurationOfPage } from './support/page.ts';
import { startScene } from './support/scene.ts';
import { notInstalled } from './support/installed.ts';
import { missing } from './support/toolchain.ts';

const skip = missing('Java', 'Maven') || notInstalled('Spring Authorization Server', jar);
if (skip) t.test('Spring Authorization Server', { skip }, async () => undefined);
else plays(shopAt(await startSpring(t)));

function plays(shop: Shop): void {
  t.test('a user who logs in at Spring by code and PKCE is known to the service', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token } = await shop.login(WEB);
    const seen = await scene.passes(t, access_token, '/orders');
    t.equal(seen['x-user-id'], USER.name);
    t.equal(seen['x-token-issuer'], shop.spring.url);
    t.equal(seen['x-client-id'], WEB.id, 'which is its audience');
    t.strictSame(seen['x-scopes']?.split(' ').sort(), ['openid', 'orders:read']);
    await scene.refuses(t, access_token, '/changes', 'insufficient_scope');
  });

  t.test('a service with client credentials passes with the scope that it asked for', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const token = (await shop.service(WEB, 'orders:write')).access_token;
    const seen = await scene.passes(t, token, '/changes');
    t.equal(seen['x-user-id'], WEB.id, 'the client is the subject');
    await scene.refuses(t, token, '/orders', 'insufficient_scope');
  });

  t.test('an opaque token of Spring passes by introspection, until it is revoked there', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token } = await shop.login(OPAQUE);
    const seen = await scene.passes(t, access_token, '/opaque');
    t.strictSame([seen['x-user-id'], seen['x-client-id']], [USER.name, OPAQUE.id]);
    t.equal((await postAs(OPAQUE, shop.endpoint('/oauth2/revoke'), { token: access_token })).status, 200);
    await scene.refuses(t, access_token, '/opaque', 'inactive');
  });

  t.test('a JWT that Spring is asked about is refused as soon as it is revoked there', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token } = await shop.login(WEB);
    const seen = await scene.passes(t, access_token, '/asked');
    t.equal(seen['x-client-id'], WEB.id);
    t.equal((await postAs(WEB, shop.endpoint('/oauth2/revoke'), { token: access_token })).status, 200);
    await scene.refuses(t, access_token, '/asked', 'inactive');
    await scene.passes(t, access_token, '/orders', 'a route that asks nothing cannot know');
  });

  t.test('J18 ID tokens and refresh tokens of Spring are refused on every route', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    for (const client of [WEB, OPAQUE]) {
      const { id_token = '', refresh_token = '' } = await shop.login(client);
      t.match(
        claimsIn(id_token),
        { aud: client.id, at_hash: undefined },
        'nothing says that it is an ID token',
      );
      for (const path of PATHS) {
        await scene.refuses(t, id_token, path, ['claim', 'wrong_audience', 'unknown_issuer', 'wrong_type']);
        await scene.refuses(t, refresh_token, path, ['claim', 'malformed', 'wrong_type']);
      }
    }
  });

  t.test(
    'the configurations of its page work with a real Spring Authorization Server as they stand',
    async (t) => {
      const web = await shop.login(WEB);
      const first = configurationOfPage('spring', 0, { 'https://auth.example.com': shop.spring.url });
      const scene = await startScene(t, first);
      t.equal((await scene.passes(t, web.access_token, '/orders'))['x-client-id'], WEB.id);
      await scene.refuses(t, web.id_token ?? '', '/orders', 'claim');
      const third = configurationOfPage('spring', 2, {
        'https://auth.example.com': shop.spring.url,
        'client_id: gateway': `client_id: ${OPAQUE.id}`,
        'client_secret_file: spring-client-secret': `client_secret: ${OPAQUE.secret}`,
        'audiences: [web]': `audiences: [${OPAQUE.id}]`,
      });
      const asking = await startScene(t, third);
      const opaque = await shop.login(OPAQUE);
      t.equal((await asking.passes(t, opaque.access_token, '/orders'))['x-client-id'], OPAQUE.id);
      await asking.refuses(t, opaque.refresh_token ?? '', '/orders', 'claim');
    },
  );

  t.test('check --online reaches Spring, and explain agrees with the gateway about its tokens', async (t) => {
    const [web, opaque] = [await shop.login(WEB), await shop.login(OPAQUE)];
    await commandLineAgrees(t, configurationOf(shop), {
      passing: [
        [web.access_token, '/orders'],
        [web.access_token, '/asked'],
        [opaque.access_token, '/opaque'],
      ],
      refused: [
        [web.access_token, '/changes'],
        [web.id_token ?? '', '/orders'],
        [web.id_token ?? '', '/asked'],
        [opaque.refresh_token ?? '', '/opaque'],
      ],
    });
  });

  t.test('D13 a DPoP-bound token of Spring is refused as a bearer token', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const key = createDpopKey();
    const dpop = key.proof('POST', shop.endpoint('/oauth2/token'));
    const jwt = (await shop.service(WEB, 'orders:read', { dpop })).access_token;
    t.match(claimsIn(jwt), { cnf: { jkt: key.thumbprint } });
    for (const path of ['/orders', '/all', '/asked']) await scene.refuses(t, jwt, path, 'binding');
    const proof = key.proof('POST', shop.endpoint('/oauth2/token'));
    const opaque = (await shop.service(OPAQUE, 'orders:read', { dpop: proof })).access_token;
    await scene.refuses(t, opaque, '/opaque', 'binding');
  });

  t.test('D12 D14 a DPoP-bound token of Spring passes with a proof of its key, once', async (t) => {
    const usual = configurationOf(shop) as { routes: { auth: object }[] };
    const routes = usual.routes.map((route) => ({
      ...route,
      public_url: 'https://api.example.com',
      auth: { ...route.auth, sender_constrained: 'required' },
    }));
    const { gateway } = await startScene(t, { ...usual, routes });
    const key = proofKey();
    const bound = async (client: Client): Promise<string> => {
      const dpop = key.proof({ method: 'POST', url: shop.endpoint('/oauth2/token') });
      return (await shop.service(client, 'orders:read', { dpop })).access_token;
    };
    const [jwt, opaque] = [await bound(WEB), await bound(OPAQUE)];
    for (const [path, token] of [
      ['/orders', jwt],
      ['/asked', jwt],
      ['/opaque', opaque],
    ] as const) {
      const proof = key.proof({ url: `https://api.example.com${path}`, token });
      const headers = ['Authorization', `DPoP ${token}`, 'DPoP', proof];
      t.equal((await send(gateway.url, path, { headers })).status, 200, path);
      t.match(await send(gateway.url, path, { headers }), {
        status: 401,
        problem: { code: 'invalid_dpop_proof' },
      });
    }
  });

  t.test(
    'K0 K2 K5 keys of Spring come and go: tokens of a new key are never refused, those of a withdrawn key are',
    async (t) => {
      const scene = await startScene(t, configurationOf(shop, { keys: { refresh: '1s' } }));
      const old = (await shop.service(WEB)).access_token;
      await scene.passes(t, old, '/orders');
      await shop.spring.rotate();
      const fresh = (await shop.service(WEB)).access_token;
      t.not(headerOf(fresh)['kid'], headerOf(old)['kid']);
      await scene.passes(t, fresh, '/orders');
      await scene.passes(t, old, '/orders');
      await shop.spring.withdraw();
      await until(async () => (await send(scene.gateway.url, '/orders', { token: old })).status !== 200);
      await scene.refuses(t, old, '/orders', 'unknown_key');
      await scene.passes(t, fresh, '/orders');
    },
  );

  t.test('V4 a user that is revoked here comes back by a new login', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const tokens = await shop.login(WEB);
    const job = (await shop.service(WEB)).access_token;
    await scene.revokes(t, { issuer: 'login', subject: USER.name });
    const second = nowSeconds();
    await scene.refuses(t, tokens.access_token, '/orders', 'revoked');
    await scene.passes(t, job, '/orders', 'another subject');
    await until(() => nowSeconds() > second);
    // Spring’s access tokens do not say when the user logged in: end the refresh token there.
    const refreshed = await shop.refresh(WEB, tokens);
    await scene.passes(t, refreshed.access_token, '/orders', 'a refresh');
    const query = { token: refreshed.refresh_token ?? '' };
    t.equal((await postAs(WEB, shop.endpoint('/oauth2/revoke'), query)).status, 200);
    await t.rejects(shop.refresh(WEB, refreshed));
    await scene.passes(t, (await shop.login(WEB)).access_token, '/orders', 'a new login');
  });

  t.test(
    'a client is revoked here by its audience, and a session cannot be, because no token has one',
    async (t) => {
      const scene = await startScene(t, configurationOf(shop));
      const { access_token } = await shop.login(WEB);
      const session = { issuer: 'login', session: 'any' };
      t.equal((await scene.gateway.admin('POST', '/v1/revocations', session)).status, 400);
      await scene.passes(t, access_token, '/orders');
      await scene.revokes(t, { issuer: 'login', client: WEB.id });
      await scene.refuses(t, access_token, '/orders', 'revoked');
    },
  );

  t.test('one token of Spring is revoked by its text, on every route', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token } = await shop.login(WEB);
    for (const path of ['/orders', '/asked']) await scene.passes(t, access_token, path);
    await scene.revokes(t, { token: access_token });
    for (const path of ['/orders', '/asked']) await scene.refuses(t, access_token, path, 'revoked');
  });
}
