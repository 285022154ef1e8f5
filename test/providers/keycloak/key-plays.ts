/** Keycloak’s signing keys change. Rules K0, K2, K5. */
import { generateKeyPairSync } from 'node:crypto';
import type { Test } from 'tap';
import { send } from '../../support/client.ts';
import { until } from '../../support/gateway.ts';
import { headerOf } from '../support/oauth-client.ts';
import { startScene } from '../support/scene.ts';
import * as realm from './realm.ts';
import { configurationOf, type Shop } from './shop.ts';

/** Adds a key that signs from now on. Returns what takes it away. */
async function addKey({ keycloak }: Shop): Promise<{ disable: () => Promise<void> }> {
  const admin = keycloak.admin;
  const { id: parentId } = await admin<{ id: string }>('GET', `/${realm.REALM}`);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const component = (enabled: boolean): object => ({
    name: 'new',
    providerId: 'rsa',
    providerType: 'org.keycloak.keys.KeyProvider',
    parentId,
    config: {
      priority: ['200'],
      enabled: [String(enabled)],
      active: ['true'],
      algorithm: ['RS256'],
      privateKey: [privateKey.export({ type: 'pkcs1', format: 'pem' })],
    },
  });
  const id = await admin<string>('POST', `/${realm.REALM}/components`, component(true));
  return {
    disable: async () => {
      await admin('PUT', `/${realm.REALM}/components/${id}`, { id, ...component(false) });
    },
  };
}

export function keyPlays(t: Test, shop: Shop): void {
  t.test(
    'K0 K2 tokens of a new key of Keycloak are never refused, and those of the old key still pass',
    async (t) => {
      const scene = await startScene(t, configurationOf(shop));
      const old = (await shop.login()).access_token;
      await scene.passes(t, old, '/orders');
      const key = await addKey(shop);
      const fresh = (await shop.login()).access_token;
      t.not(headerOf(fresh)['kid'], headerOf(old)['kid']);
      await scene.passes(t, fresh, '/orders');
      await scene.passes(t, old, '/orders');
      await key.disable();
    },
  );

  t.test(
    'K5 tokens of a key that is disabled at Keycloak are refused after a refresh of the keys',
    async (t) => {
      const key = await addKey(shop);
      const scene = await startScene(t, configurationOf(shop));
      const { access_token } = await shop.login();
      await scene.passes(t, access_token, '/orders');
      await key.disable();
      const response = await scene.gateway.admin('POST', '/v1/issuers/login/keys/refresh');
      t.match(await response.json(), { removed: [headerOf(access_token)['kid']] });
      await scene.refuses(t, access_token, '/orders', 'unknown_key');
      await scene.passes(t, (await shop.login()).access_token, '/orders', 'the other key signs again');
    },
  );

  t.test(
    'K5 tokens of a disabled key are refused within the refresh interval, cached ones too',
    async (t) => {
      const key = await addKey(shop);
      const scene = await startScene(t, configurationOf(shop, { keys: { refresh: '1s' } }));
      const { access_token } = await shop.login();
      await scene.passes(t, access_token, '/orders');
      await key.disable();
      await until(
        async () => (await send(scene.gateway.url, '/orders', { token: access_token })).status !== 200,
      );
      await scene.refuses(t, access_token, '/orders', 'unknown_key');
    },
  );
}
