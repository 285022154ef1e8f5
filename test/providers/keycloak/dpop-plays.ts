/** Keycloak’s tokens that are bound to a key, with openid-client as their holder: as JWTs, and by introspection. Rules D12 to D14. */
import * as openid from 'openid-client';
import type { Test } from 'tap';
import { send } from '../../support/client.ts';
import { freePort } from '../../support/redis.ts';
import { claimsIn } from '../support/oauth-client.ts';
import { startScene, type Scene } from '../support/scene.ts';
import * as realm from './realm.ts';
import { configurationOf, type Shop } from './shop.ts';

/** The gateway of the shop. It takes only bound tokens, and asks for nonces. */
async function startBoundScene(t: Test, shop: Shop): Promise<Scene> {
  const usual = configurationOf(shop) as { routes: { auth: object }[] };
  const port = await freePort();
  return startScene(t, {
    ...usual,
    listeners: [{ host: '127.0.0.1', port, public_url: `http://127.0.0.1:${port}` }],
    dpop: { nonces: { secret: 'a secret of the fleet, 32 characters or more' } },
    routes: usual.routes.map((route) => ({
      ...route,
      auth: { ...route.auth, sender_constrained: 'required' },
    })),
  });
}

interface Holder {
  readonly token: string;
  /** Resolves with the status; asks again where a nonce is wanted. */
  get(url: string): Promise<number>;
  /** The proofs that it has sent. */
  readonly proofs: string[];
}

async function login(shop: Shop, key: 'ES256' | 'PS256'): Promise<Holder> {
  const proofs: string[] = [];
  const config = await openid.discovery(new URL(shop.issuer), realm.BOUND.id, realm.BOUND.secret, undefined, {
    execute: [openid.allowInsecureRequests],
    [openid.customFetch]: (url, options) => {
      proofs.push(new Headers(options.headers).get('dpop') ?? '');
      return fetch(url, options as RequestInit);
    },
  });
  const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair(key));
  const form = { username: realm.ALICE, password: realm.PASSWORD, scope: 'openid orders:read' };
  const { access_token: token, token_type } = await openid.genericGrantRequest(config, 'password', form, {
    DPoP,
  });
  if (token_type !== 'dpop') throw new Error(`token_type: ${token_type}`);
  return {
    token,
    proofs,
    get: async (url) => {
      const options = [undefined, undefined, { DPoP }] as const;
      return openid.fetchProtectedResource(config, token, new URL(url), 'GET', ...options).then(
        async (response) => {
          await response.arrayBuffer();
          return response.status;
        },
        (error: unknown) => {
          if (error instanceof openid.WWWAuthenticateChallengeError) return error.status;
          throw error;
        },
      );
    },
  };
}

export function dpopPlays(t: Test, shop: Shop): void {
  for (const algorithm of ['ES256', 'PS256'] as const)
    t.test(`D12 D14 a DPoP-bound token of Keycloak passes with its key only: ${algorithm}`, async (t) => {
      const scene = await startBoundScene(t, shop);
      const holder = await login(shop, algorithm);
      t.match(claimsIn(holder.token), { cnf: { jkt: /^[\w-]{43}$/ } });
      // As a JWT, and as Keycloak says at its introspection endpoint.
      for (const path of ['/orders', '/light']) {
        const url = `${scene.gateway.url}${path}`;
        t.equal(await holder.get(`${url}?a=b`), 200, path);
        t.equal(await holder.get(url), 200, `${path} again`);
        const proof = holder.proofs.at(-1) ?? '';
        const headers = ['Authorization', `DPoP ${holder.token}`, 'DPoP', proof];
        t.match(await send(scene.gateway.url, path, { headers }), {
          status: 401,
          problem: { code: 'invalid_dpop_proof' },
        });
        await scene.refuses(t, holder.token, path, 'binding', 'as a bearer token');
        await scene.refuses(t, (await shop.login()).access_token, path, 'binding', 'one that is not bound');
      }
      await scene.revokes(t, { token: holder.token });
      t.equal(await holder.get(`${scene.gateway.url}/orders`), 401, 'V1 it is revoked');
    });
}
