/** Keycloak as a transmitter of shared signals: what happens to its users ends their tokens here. Rules V4, V13, V14, V17. */
import type { Test } from 'tap';
import { until } from '../../support/gateway.ts';
import { nowSeconds } from '../../support/tokens.ts';
import { startServer } from '../../support/upstream.ts';
import { postAs, requestTokens, type Client } from '../support/oauth-client.ts';
import { startScene, type Scene } from '../support/scene.ts';
import * as realm from './realm.ts';
import { configurationOf, type Shop } from './shop.ts';

const RECEIVER: Client = { id: 'gateway', secret: 'secret of the gateway' };
const AUTHORIZATION = 'Signal of-the-tests';
const PUSH_PATH = '/signals/keycloak';
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';

interface Listening {
  readonly scene: Scene;
  /** The statuses that Keycloak got. */
  readonly statuses: number[];
  /** While it is set, deliveries get 503. */
  isDown: boolean;
}

/** A scene to whose gateway Keycloak pushes. The audience of a stream is known when it was made. */
async function listening(t: Test, shop: Shop): Promise<Listening> {
  let gatewayUrl = '';
  const state = { statuses: [] as number[], isDown: false };
  const between = await startServer(t, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { authorization = '', 'content-type': type = '' } = request.headers;
      const answer = state.isDown
        ? Promise.resolve({ status: 503 })
        : fetch(`${gatewayUrl}${PUSH_PATH}`, {
            method: 'POST',
            headers: { authorization, 'content-type': type },
            body,
          });
      void answer.then(({ status }) => {
        state.statuses.push(status);
        response.writeHead(status).end();
      });
    });
  });
  const audiences = await createStream(shop, `${between}${PUSH_PATH}`);
  const signals = {
    keycloak: {
      issuer: shop.issuer,
      discovery: true,
      audiences,
      for: ['login'],
      push: { host: '127.0.0.1', path: PUSH_PATH, authorization: AUTHORIZATION },
    },
  };
  const scene = await startScene(t, { ...configurationOf(shop), signals });
  gatewayUrl = scene.gateway.url;
  return Object.assign(state, { scene });
}

/** Returns its audience. */
async function createStream(shop: Shop, url: string): Promise<string[]> {
  const { issuer } = shop;
  const { admin } = shop.keycloak;
  const realmPath = `/${realm.REALM}`;
  const { attributes, eventsListeners } = await admin<{ attributes: object; eventsListeners: string[] }>(
    'GET',
    realmPath,
  );
  await admin('PUT', realmPath, {
    attributes: { ...attributes, 'ssf.transmitterEnabled': 'true' },
    eventsEnabled: true,
    adminEventsEnabled: true,
    eventsListeners: [...new Set([...eventsListeners, 'ssf-events'])],
  });
  const id = await admin<string>('POST', `/${realm.REALM}/clients`, {
    clientId: RECEIVER.id,
    secret: RECEIVER.secret,
    serviceAccountsEnabled: true,
    attributes: { 'ssf.enabled': 'true', 'ssf.validPushUrls': url, 'ssf.defaultSubjects': 'ALL' },
  });
  const scopes = await admin<{ id: string; name: string }[]>('GET', `/${realm.REALM}/client-scopes`);
  for (const scope of scopes.filter(({ name }) => name.startsWith('ssf.')))
    await admin('PUT', `/${realm.REALM}/clients/${id}/optional-client-scopes/${scope.id}`);
  const form = { grant_type: 'client_credentials', scope: 'ssf.manage ssf.read' };
  const { access_token } = await requestTokens(shop.endpoint('token'), RECEIVER, form);
  const response = await fetch(`${issuer}/ssf/transmitter/streams`, {
    method: 'POST',
    headers: { authorization: `Bearer ${access_token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      delivery: { method: 'urn:ietf:rfc:8935', endpoint_url: url, authorization_header: AUTHORIZATION },
      events_requested: [`${CAEP}session-revoked`, `${CAEP}credential-change`],
    }),
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`the stream: ${response.status} ${text}`);
  return (JSON.parse(text) as { aud: string[] }).aud;
}

export function signalPlays(t: Test, shop: Shop): void {
  const { admin } = shop.keycloak;
  t.test('V14 V17 what happens to a user of Keycloak ends tokens here', async (t) => {
    const heard = await listening(t, shop);
    const { scene, statuses } = heard;
    const counted = (event: string): Promise<number> =>
      scene.gateway.metric(`sallyport_signals_total{transmitter="keycloak",event="${event}",result="ended"}`);
    const [first, second, bob] = [
      await shop.login(),
      await shop.login(),
      await shop.login(realm.WEB, realm.BOB),
    ];
    for (const { access_token } of [first, second, bob]) await scene.passes(t, access_token, '/orders');

    await postAs(realm.WEB, shop.endpoint('logout'), { refresh_token: first.refresh_token ?? '' });
    await until(async () => (await counted('session-revoked')) === 1);
    await scene.refuses(t, first.access_token, '/orders', 'revoked', 'a logout ends its session');
    await scene.passes(t, second.access_token, '/orders', 'and no other');

    heard.isDown = true;
    await admin('POST', `/${realm.REALM}/users/${await realm.idOfUser(admin, realm.ALICE)}/logout`);
    await until(() => statuses.includes(503));
    await scene.passes(t, second.access_token, '/orders', 'not yet delivered');
    heard.isDown = false;
    await until(async () => (await counted('session-revoked')) === 2);
    await scene.refuses(t, second.access_token, '/orders', 'revoked', 'V13 all sessions of the user');
    await scene.passes(t, bob.access_token, '/orders', 'another user');

    await admin('PUT', `/${realm.REALM}/users/${await realm.idOfUser(admin, realm.BOB)}/reset-password`, {
      type: 'password',
      value: realm.PASSWORD,
      temporary: false,
    });
    await until(async () => (await counted('credential-change')) === 1);
    const toldAt = nowSeconds();
    await scene.refuses(t, bob.access_token, '/orders', 'revoked', 'a new password');
    await until(() => nowSeconds() > toldAt + 1);
    await scene.passes(t, (await shop.login(realm.WEB, realm.BOB)).access_token, '/orders', 'V4 a new login');
    t.ok(statuses.every((status) => status === 202 || status === 503));
    t.match(await (await scene.gateway.admin('GET', '/v1/revocations')).json(), {
      revocations: [
        { created_by: 'signal:keycloak' },
        { created_by: 'signal:keycloak' },
        { reason: /^session-revoked/ },
      ],
    });
  });
}
