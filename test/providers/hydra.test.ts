/** Plays with a real Ory Hydra: what it issues, and what the gateway makes of it. Rules J18, K0, K5, V1, V4, V14. */
import t from 'tap';
import { send } from '../support/client.ts';
import { until } from '../support/gateway.ts';
import { nowSeconds } from '../support/tokens.ts';
import { API, program, startHydra } from './hydra/server.ts';
import {
  configurationOf,
  createClients,
  LOGOUT_PATH,
  OPAQUE,
  registerLogout,
  shopAt,
  WEB,
  type Shop,
} from './hydra/shop.ts';
import { commandLineAgrees } from './support/command-line.ts';
import { Browser, claimsIn, headerOf, type Tokens } from './support/oauth-client.ts';
import { configurationOfPage } from './support/page.ts';
import { startScene } from './support/scene.ts';
import { notInstalled } from './support/installed.ts';
import { missing } from './support/toolchain.ts';

const KEYS = '/keys/hydra.jwt.access-token';

const skip = missing('Go') || notInstalled('Ory Hydra', program);
if (skip) {
  t.test('Ory Hydra', { skip }, async () => undefined);
} else {
  const hydra = await startHydra(t);
  await createClients(hydra);
  plays(shopAt(hydra));
}

function plays(shop: Shop): void {
  const { admin, url } = shop.hydra;

  t.test('a user who logs in at Hydra by code and PKCE is known to the service', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token } = await shop.login(WEB);
    const seen = await scene.passes(t, access_token, '/orders');
    t.equal(seen['x-user-id'], 'alice');
    t.equal(seen['x-client-id'], WEB.id);
    t.equal(seen['x-token-issuer'], url);
    t.equal(seen['x-scopes'], 'openid offline orders:read');
    t.equal(seen['x-roles'], 'manager');
    await scene.passes(t, access_token, '/managers');
    await scene.refuses(t, access_token, '/changes', 'insufficient_scope');
  });

  t.test('a service with client credentials passes, and only with the audience of the API', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token } = await shop.service(WEB);
    const seen = await scene.passes(t, access_token, '/orders');
    t.equal(seen['x-client-id'], WEB.id);
    await scene.refuses(t, access_token, '/managers', 'claim_rule');
    const without = (await shop.service(WEB, {})).access_token;
    t.strictSame(claimsIn(without)['aud'], []);
    await scene.refuses(t, without, '/orders', ['wrong_audience', 'claim']);
    await scene.refuses(t, (await shop.service(OPAQUE, {})).access_token, '/opaque', 'wrong_audience');
  });

  t.test('an opaque token of Hydra passes by introspection, until it is revoked there', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const { access_token } = await shop.login(OPAQUE);
    const seen = await scene.passes(t, access_token, '/opaque');
    t.equal(seen['x-user-id'], 'alice');
    t.equal(seen['x-client-id'], OPAQUE.id);
    t.equal(seen['x-scopes'], 'openid offline orders:read');
    t.equal(seen['x-roles'], 'manager');
    await scene.refuses(t, access_token, '/orders', 'malformed', 'a route that does not name the issuer');
    await admin('DELETE', '/oauth2/auth/sessions/consent?subject=alice&all=true');
    await scene.refuses(t, access_token, '/opaque', 'inactive');
  });

  t.test('J18 ID tokens and refresh tokens of Hydra are refused on every route', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const loose = await startScene(t, configurationOf(shop, { audiences: [WEB.id], required_claims: [] }));
    for (const client of [WEB, OPAQUE]) {
      const { id_token = '', refresh_token = '' } = await shop.login(client);
      for (const path of ['/orders', '/changes', '/managers', '/opaque']) {
        await scene.refuses(t, id_token, path, ['wrong_type', 'unknown_issuer']);
        // Hydra’s introspection says `active: true` of a refresh token.
        await scene.refuses(t, refresh_token, path, path === '/opaque' ? 'wrong_type' : 'malformed');
      }
    }
    const { id_token = '' } = await shop.login(WEB);
    await loose.refuses(t, id_token, '/orders', 'wrong_type', 'where its audience is accepted');
  });

  t.test(
    'K0 K2 K5 keys of Hydra come and go: tokens of a new key are never refused, those of a deleted key are',
    async (t) => {
      const scene = await startScene(t, configurationOf(shop, { keys: { refresh: '1s' } }));
      const old = (await shop.service(WEB)).access_token;
      await scene.passes(t, old, '/orders');
      await admin('POST', KEYS, { alg: 'RS256', use: 'sig', kid: `new-${nowSeconds()}` });
      const fresh = (await shop.service(WEB)).access_token;
      t.not(headerOf(fresh)['kid'], headerOf(old)['kid']);
      await scene.passes(t, fresh, '/orders');
      await scene.passes(t, old, '/orders');
      await admin('DELETE', `${KEYS}/${String(headerOf(old)['kid'])}`);
      await until(async () => (await send(scene.gateway.url, '/orders', { token: old })).status !== 200);
      await scene.refuses(t, old, '/orders', 'unknown_key');
      await scene.passes(t, fresh, '/orders');
    },
  );

  t.test('the configurations of its page work with a real Hydra as they stand', async (t) => {
    const jwt = { 'https://hydra.example.com': url, 'https://api.example.com': API };
    const web = await shop.login(WEB);
    const scene = await startScene(t, configurationOfPage('hydra', 0, jwt));
    t.equal((await scene.passes(t, web.access_token, '/orders'))['x-client-id'], WEB.id);
    await scene.refuses(t, web.id_token ?? '', '/orders', ['wrong_audience', 'wrong_type', 'claim']);

    const introspection = {
      'https://hydra-admin.internal': shop.hydra.adminUrl,
      'client_secret_file: hydra-client-secret': 'client_secret: none',
      'https://api.example.com': API,
    };
    const opaque = await shop.login(OPAQUE);
    const asking = await startScene(t, configurationOfPage('hydra', 1, introspection));
    t.equal((await asking.passes(t, opaque.access_token, '/orders'))['x-client-id'], OPAQUE.id);
    await asking.refuses(t, opaque.refresh_token ?? '', '/orders', 'wrong_type');

    const sessions = { ...jwt, 'host: api.example.com': 'host: 127.0.0.1', '7f3a2c1e-web': WEB.id };
    const listening = await startScene(t, configurationOfPage('hydra', 2, sessions));
    await listening.passes(t, web.access_token, '/orders');
    await listening.refuses(
      t,
      (await shop.service(WEB)).access_token,
      '/orders',
      'claim',
      'it has no session',
    );
  });

  t.test('check --online reaches Hydra, and explain agrees with the gateway about its tokens', async (t) => {
    const [web, opaque] = [await shop.login(WEB), await shop.login(OPAQUE)];
    await commandLineAgrees(t, configurationOf(shop), {
      passing: [
        [web.access_token, '/managers'],
        [opaque.access_token, '/opaque'],
      ],
      refused: [
        [web.access_token, '/changes'],
        [web.id_token ?? '', '/orders'],
        [opaque.access_token, '/orders'],
        [opaque.refresh_token ?? '', '/opaque'],
      ],
    });
  });

  logoutPlays(shop);
  revocationPlays(shop);
}

function logoutPlays(shop: Shop): void {
  const { admin, url } = shop.hydra;
  t.test('V1 V14 the user logs out in the browser at Hydra, and the token is refused here', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    await registerLogout(shop.hydra, `${scene.gateway.url}${LOGOUT_PATH}`);
    const browser = new Browser();
    const tokens = await shop.login(WEB, browser);
    const elsewhere = await shop.login(WEB);
    await scene.passes(t, tokens.access_token, '/orders');
    const query = new URLSearchParams({ id_token_hint: tokens.id_token ?? '' });
    const page = await browser.follow(
      await browser.open(`${url}/oauth2/sessions/logout?${query.toString()}`),
      'none',
    );
    t.equal(page.html, 'bye');
    // Hydra tells the applications after it has responded to the browser.
    await until(async () => (await logouts(scene)) > 0);
    await scene.refuses(t, tokens.access_token, '/orders', 'revoked');
    await scene.passes(t, elsewhere.access_token, '/orders', 'the same user in another browser');
    await scene.passes(t, (await shop.login(WEB, browser)).access_token, '/orders', 'V4 a new login');
  });

  t.test('V14 a session that is revoked here stays out, though Hydra refreshes it', async (t) => {
    const scene = await startScene(t, configurationOf(shop));
    const tokens = await shop.login(WEB);
    await scene.passes(t, tokens.access_token, '/orders');
    await scene.revokes(t, { issuer: 'login', session: sessionOf(tokens) });
    await scene.refuses(t, tokens.access_token, '/orders', 'revoked');
    const refreshed = await shop.refresh(WEB, tokens);
    await scene.refuses(t, refreshed.access_token, '/orders', 'revoked');
    await scene.passes(t, (await shop.login(WEB)).access_token, '/orders', 'a new login');
  });

  t.test(
    'an administrator ends the logins of a user at Hydra, and their refresh tokens bring nothing',
    async (t) => {
      const tokens = await shop.login(WEB);
      await admin('DELETE', '/oauth2/auth/sessions/consent?subject=alice&all=true');
      await t.rejects(shop.refresh(WEB, tokens));
    },
  );
}

const sessionOf = ({ access_token }: Tokens): unknown =>
  (claimsIn(access_token)['ext'] as Record<string, unknown>)['sid'];

function logouts(scene: { gateway: { metric(series: string): Promise<number> } }): Promise<number> {
  return scene.gateway.metric('sallyport_backchannel_logouts_total{issuer="login",result="accepted"}');
}

function revocationPlays(shop: Shop): void {
  t.test(
    'V14 P3 the time of login outlives refreshes and silent logins, in JWTs and responses',
    async (t) => {
      const configuration = configurationOf(shop);
      const recent = { auth: { issuers: ['login'], max_auth_age: '1h' } };
      const route = { name: 'recent', match: { path_prefix: '/recent' }, upstream: 'orders', ...recent };
      const routes = [...(configuration['routes'] as object[]), route];
      for (const [client, path, issuer] of [
        [WEB, '/orders', 'login'],
        [OPAQUE, '/opaque', 'opaque'],
      ] as const) {
        const scene = await startScene(t, { ...configuration, routes });
        const browser = new Browser();
        const tokens = await shop.login(client, browser);
        await scene.passes(t, tokens.access_token, client === WEB ? '/recent' : path);
        await scene.revokes(t, { issuer, subject: 'alice' });
        const second = nowSeconds();
        await until(() => nowSeconds() > second);
        const refreshed = await shop.refresh(client, tokens);
        await scene.refuses(t, refreshed.access_token, path, 'revoked', 'a refresh');
        const silent = await shop.login(client, browser);
        await scene.refuses(t, silent.access_token, path, 'revoked', 'in the same session of Hydra');
        await scene.passes(t, (await shop.login(client)).access_token, path, 'a new login');
      }
    },
  );

  t.test('revocations here by subject, client and token end JWTs and opaque tokens of Hydra', async (t) => {
    for (const [client, path, issuer] of [
      [WEB, '/orders', 'login'],
      [OPAQUE, '/opaque', 'opaque'],
    ] as const) {
      const kinds: ((token: string) => Record<string, unknown>)[] = [
        () => ({ issuer, subject: 'alice' }),
        () => ({ issuer, client: client.id }),
        (token) => ({ token }),
      ];
      for (const kind of kinds) {
        const scene = await startScene(t, configurationOf(shop));
        const { access_token } = await shop.login(client);
        await scene.passes(t, access_token, path);
        const revocation = kind(access_token);
        await scene.revokes(t, revocation);
        await scene.refuses(t, access_token, path, 'revoked', Object.keys(revocation).join(' '));
      }
    }
  });
}
