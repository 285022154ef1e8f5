/** One header for all spellings of an identity header's name, in responses of a decision listener. Rules C1, C24. */
import t from 'tap';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway } from '../support/gateway.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';

const key = createKey('EdDSA');
const token = mint(key, claimsOf({ sub: 'alice' }));

t.test('C24 a configured spelling takes the place of the default name, on every route', async (t) => {
  const route = (name: string, headers: Record<string, string>) => ({
    name,
    match: { path_prefix: `/${name}` },
    upstream: 'u',
    identity: { headers },
    auth: { mode: 'optional' },
  });
  const gateway = await startGateway(t, {
    listeners: [
      { host: '127.0.0.1', port: 0 },
      {
        host: '127.0.0.1',
        port: 0,
        serve: 'decisions',
        dialect: 'forwarded',
        trusted_peers: ['127.0.0.1/32'],
      },
    ],
    issuers: { login: loginIssuer(key) },
    identity: { headers: { X_User_Id: 'sub' } },
    routes: [
      route('shared', {}),
      route('own', { 'x.user.id': 'sub' }),
      route('dashed', { 'X-USER-ID': 'sub' }),
    ],
    upstreams: { u: { targets: ['http://127.0.0.1:9'] } },
  });
  const url = `http://127.0.0.1:${gateway.instance.listeners[1]?.address.port}`;
  for (const name of ['shared', 'own', 'dashed'])
    for (const [bearer, value] of [
      [token, 'alice'],
      [undefined, ''],
    ] as const) {
      const { status, headers } = await send(url, '/', {
        ...(bearer !== undefined && { token: bearer }),
        headers: [
          ...['X-Forwarded-Method', 'GET', 'X-Forwarded-Uri', `/${name}`],
          ...['X-Forwarded-Host', 'a.example', 'X-Forwarded-Proto', 'http'],
          ...['X-User-Id', 'mallory', 'X_User_Id', 'mallory', 'x.user.id', 'mallory'],
        ],
      });
      t.equal(status, 200);
      const sent = Object.entries(headers).filter(([header]) => /^x.user.id$/.test(header));
      t.strictSame(sent, [['x_user_id', value]], `${name}, ${value}`);
    }
});
