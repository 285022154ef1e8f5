/** The realm of the tests: an API with roles and scopes, clients of each kind, and users. */
import type { Client } from '../support/oauth-client.ts';
import type { Keycloak } from './server.ts';

export const REALM = 'shop';
/** The API: a client without logins. Users that have a role of it get it as `aud`. */
export const API = 'orders-api';
export const REDIRECT_URI = 'http://127.0.0.1/callback';
export const PASSWORD = 'a password of the tests';

const client = (id: string): Client => ({ id, secret: `secret of ${id}` });
/** What a web application is set up as. */
export const WEB = client('web');
/** As web, with "Use rfc9068 access token header type". */
export const RFC9068 = client('rfc9068');
/** As web, with "Always use lightweight access token". */
export const LIGHT = client('light');
/** As web, with "Require DPoP bound tokens". */
export const BOUND = client('bound');
/** A service: client credentials, a role of the API. */
export const JOB = client('job');
/** The API's own client, by which the gateway asks for introspection: Keycloak responds only to a client in `aud`. */
export const API_CLIENT = client(API);
/** Has nothing to do with the API. */
export const STRANGER = client('stranger');

const ATTRIBUTES: Record<string, Record<string, string>> = {
  [RFC9068.id]: { 'access.token.header.type.rfc9068': 'true' },
  [LIGHT.id]: { 'client.use.lightweight.access.token.enabled': 'true' },
  [BOUND.id]: { 'dpop.bound.access.tokens': 'true' },
};

function clientRepresentation({ id, secret }: Client, more: object = {}): object {
  return {
    clientId: id,
    secret,
    redirectUris: [REDIRECT_URI],
    standardFlowEnabled: true,
    directAccessGrantsEnabled: true,
    serviceAccountsEnabled: true,
    attributes: { 'pkce.code.challenge.method': 'S256', ...ATTRIBUTES[id] },
    ...more,
  };
}

/** What Keycloak gives to each new user. */
const USUAL_ROLES = [`default-roles-${REALM}`];

const user = (username: string, roles: object): object => ({
  username,
  enabled: true,
  email: `${username}@shop.example`,
  emailVerified: true,
  firstName: username,
  lastName: 'Tester',
  credentials: [{ type: 'password', value: PASSWORD }],
  ...roles,
});

/** Has the realm role "manager" and the role "approve" of the API. */
export const ALICE = 'alice';
/** May use the API, and no more. */
export const BOB = 'bob';

export async function createRealm({ admin }: Keycloak): Promise<void> {
  await admin('POST', '', {
    realm: REALM,
    enabled: true,
    roles: { realm: [{ name: 'manager' }], client: { [API]: [{ name: 'use' }, { name: 'approve' }] } },
    clients: [
      { clientId: API, secret: API_CLIENT.secret, standardFlowEnabled: false },
      ...[WEB, RFC9068, LIGHT, BOUND, JOB].map((each) => clientRepresentation(each)),
      // Without "Full scope allowed" its tokens have no roles, and so no audience.
      clientRepresentation(STRANGER, { fullScopeAllowed: false }),
    ],
    users: [
      user(ALICE, { realmRoles: [...USUAL_ROLES, 'manager'], clientRoles: { [API]: ['use', 'approve'] } }),
      user(BOB, { realmRoles: USUAL_ROLES, clientRoles: { [API]: ['use'] } }),
      {
        username: `service-account-${JOB.id}`,
        enabled: true,
        serviceAccountClientId: JOB.id,
        clientRoles: { [API]: ['use'] },
      },
    ],
  });
  for (const name of ['orders:read', 'orders:write']) {
    const scope = await admin<string>('POST', `/${REALM}/client-scopes`, {
      name,
      protocol: 'openid-connect',
      attributes: { 'include.in.token.scope': 'true' },
    });
    for (const { id } of [WEB, RFC9068, LIGHT, BOUND, JOB, STRANGER])
      await admin('PUT', `/${REALM}/clients/${await idOfClient(admin, id)}/optional-client-scopes/${scope}`);
  }
}

/** The id by which the admin API knows a client. */
export async function idOfClient(admin: Keycloak['admin'], clientId: string): Promise<string> {
  const [found] = await admin<{ id: string }[]>('GET', `/${REALM}/clients?clientId=${clientId}`);
  return found?.id ?? '';
}

export async function idOfUser(admin: Keycloak['admin'], username: string): Promise<string> {
  const [found] = await admin<{ id: string }[]>('GET', `/${REALM}/users?exact=true&username=${username}`);
  return found?.id ?? '';
}

/** Changes a client; its attributes are merged. */
export async function changeClient(
  admin: Keycloak['admin'],
  clientId: string,
  attributes: Record<string, string>,
): Promise<void> {
  const path = `/${REALM}/clients/${await idOfClient(admin, clientId)}`;
  const now = await admin<{ attributes: Record<string, string> }>('GET', path);
  await admin('PUT', path, { ...now, attributes: { ...now.attributes, ...attributes } });
}
