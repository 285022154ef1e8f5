/** Plays with a real Keycloak. The plays are in keycloak/, because all of them share one server. */
import t from 'tap';
import { dpopPlays } from './keycloak/dpop-plays.ts';
import { keyPlays } from './keycloak/key-plays.ts';
import { logoutPlays } from './keycloak/logout-plays.ts';
import { createRealm } from './keycloak/realm.ts';
import { distribution, startKeycloak } from './keycloak/server.ts';
import { shopAt } from './keycloak/shop.ts';
import { signalPlays } from './keycloak/signal-plays.ts';
import { tokenPlays } from './keycloak/token-plays.ts';
import { notInstalled } from './support/installed.ts';
import { missing } from './support/toolchain.ts';

const skip = missing('Java', 'Maven') || notInstalled('Keycloak', distribution);
if (skip) {
  t.test('Keycloak', { skip }, async () => undefined);
} else {
  const keycloak = await startKeycloak(t);
  await createRealm(keycloak);
  const shop = shopAt(keycloak);
  tokenPlays(t, shop);
  dpopPlays(t, shop);
  logoutPlays(t, shop);
  signalPlays(t, shop);
  keyPlays(t, shop);
}
