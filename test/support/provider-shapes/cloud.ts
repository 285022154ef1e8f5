/** Services for users: Entra ID, Auth0, Okta. */
import { ISSUED_AT, OPAQUE_REFRESH, type Shape } from './shape.ts';

const TENANT = '8f4c2d11-7a3b-4c55-9e66-1d2e3f405162';
const OTHER_TENANT = '11111111-2222-4333-8444-555555555555';
const API = 'b6a4d7c9-0f1e-4d2c-8b3a-596877665544';
const WEB = '3c2b1a09-8d7e-4f6a-b5c4-d3e2f1a0b9c8';
const OID = '6e1f2a3b-4c5d-4e6f-8a9b-0c1d2e3f4a5b';
const PAIRWISE = 'xW3kqzY7fM0v1c2b3n4m5l6k7j8h9g0f';
const ENTRA_SOURCE = 'https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference';

const entraIdToken = {
  aud: API,
  iss: `https://login.microsoftonline.com/${TENANT}/v2.0`,
  iat: ISSUED_AT,
  nbf: ISSUED_AT,
  exp: ISSUED_AT + 3900,
  name: 'Alice',
  nonce: '12345',
  oid: OID,
  preferred_username: 'alice@example.com',
  sub: PAIRWISE,
  tid: TENANT,
  uti: 'fqiBqXLPj0eQa82S-IYFAA',
  ver: '2.0',
};

const entraUser: Shape = {
  provider: 'entra',
  what: 'a user, v2.0',
  source: ENTRA_SOURCE,
  page: 'providers/entra.md',
  configuration: 0,
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    aud: API,
    iss: `https://login.microsoftonline.com/${TENANT}/v2.0`,
    iat: ISSUED_AT,
    nbf: ISSUED_AT,
    exp: ISSUED_AT + 4500,
    aio: 'AXQAi/8TAAAA',
    azp: WEB,
    azpacr: '1',
    name: 'Alice',
    oid: OID,
    preferred_username: 'alice@example.com',
    rh: '0.AXEA',
    roles: ['Buyer'],
    scp: 'Orders.Read Orders.Write',
    sub: PAIRWISE,
    tid: TENANT,
    uti: 'nQ7eXk2bJkqT0bW1c3o4AA',
    ver: '2.0',
  },
  upstream: { 'x-user-id': PAIRWISE, 'x-client-id': WEB, 'x-scopes': 'Orders.Read Orders.Write' },
  refused: {
    'another client': { changes: { aud: '00000003-0000-0000-c000-000000000000' } },
    'another tenant': {
      changes: { iss: `https://login.microsoftonline.com/${OTHER_TENANT}/v2.0`, tid: OTHER_TENANT },
    },
    'ID token': { claims: entraIdToken },
    'refresh token': { opaque: '0.AXEAEcRPjzt6VUyeZh0uP0BRYsnXpLYPHi1Miz' },
  },
};

const entraDaemon: Shape = {
  ...entraUser,
  what: 'a daemon, v2.0',
  configuration: 1,
  claims: {
    aud: API,
    iss: `https://login.microsoftonline.com/${TENANT}/v2.0`,
    iat: ISSUED_AT,
    nbf: ISSUED_AT,
    exp: ISSUED_AT + 3900,
    aio: 'E2NgYBBj',
    azp: WEB,
    azpacr: '1',
    idtyp: 'app',
    oid: OID,
    rh: '0.AXEA',
    roles: ['Orders.Read.All'],
    sub: OID,
    tid: TENANT,
    uti: '1q2W3e4R5t6Y7u8I9o0PAA',
    ver: '2.0',
  },
  upstream: { 'x-user-id': OID, 'x-client-id': WEB },
};

const entraV1: Shape = {
  ...entraUser,
  what: 'a user, v1.0',
  configuration: 2,
  claims: {
    aud: 'api://orders',
    iss: `https://sts.windows.net/${TENANT}/`,
    iat: ISSUED_AT,
    nbf: ISSUED_AT,
    exp: ISSUED_AT + 4500,
    acr: '1',
    aio: 'AXQAi/8TAAAA',
    amr: ['pwd'],
    appid: WEB,
    appidacr: '1',
    ipaddr: '192.0.2.1',
    name: 'Alice',
    oid: OID,
    rh: '0.AXEA',
    scp: 'Orders.Read',
    sub: PAIRWISE,
    tid: TENANT,
    unique_name: 'alice@example.com',
    upn: 'alice@example.com',
    uti: 'bE7kq2Yt5UmT0bW1c3o4AA',
    ver: '1.0',
  },
  upstream: { 'x-user-id': PAIRWISE, 'x-client-id': WEB, 'x-scopes': 'Orders.Read' },
  refused: {
    ...entraUser.refused,
    'another tenant': { changes: { iss: `https://sts.windows.net/${OTHER_TENANT}/`, tid: OTHER_TENANT } },
    'ID token': {
      claims: { ...entraIdToken, aud: 'api://orders', iss: `https://sts.windows.net/${TENANT}/`, ver: '1.0' },
    },
  },
};

/** Of one of the tenants that the configuration names; the other tenant is one that it does not. */
const entraTenants: Shape = { ...entraUser, what: 'a user of one of many tenants', configuration: 3 };

const AUTH0 = 'https://acme.eu.auth0.com/';
const AUTH0_CLIENT = 'K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja';
const AUTH0_USER = 'auth0|6553da60a54af58e29493993';
const AUTH0_SOURCE = 'https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles';
const auth0: Shape = {
  provider: 'auth0',
  what: 'a user, Auth0 profile',
  source: AUTH0_SOURCE,
  page: 'providers/auth0.md',
  configuration: 0,
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    iss: AUTH0,
    sub: AUTH0_USER,
    aud: ['https://api.example.com', `${AUTH0}userinfo`],
    azp: AUTH0_CLIENT,
    exp: ISSUED_AT + 86_400,
    iat: ISSUED_AT,
    scope: 'openid profile orders:read',
    permissions: ['orders:read'],
  },
  upstream: {
    'x-user-id': 'auth0|6553da60a54af58e29493993',
    'x-client-id': AUTH0_CLIENT,
    'x-scopes': 'openid profile orders:read',
  },
  refused: {
    'another client': { changes: { aud: 'https://billing.example.com' } },
    'another tenant': { changes: { iss: 'https://globex.eu.auth0.com/' } },
    'ID token': {
      claims: {
        iss: AUTH0,
        sub: AUTH0_USER,
        aud: AUTH0_CLIENT,
        exp: ISSUED_AT + 36_000,
        iat: ISSUED_AT,
        sid: 'Jf3nW1b2c3d4',
        nonce: 'n-0S6_WzA2Mj',
        name: 'Alice',
        email: 'alice@example.com',
      },
    },
    'refresh token': { opaque: 'v1.Mr5zQk3J7bT1x9yL2w8vN0pC4hF6gD' },
  },
};
const auth0Rfc9068: Shape = {
  ...auth0,
  what: 'a user, RFC 9068 profile',
  header: { alg: 'RS256', typ: 'at+jwt' },
  claims: {
    iss: AUTH0,
    sub: AUTH0_USER,
    aud: ['https://api.example.com', `${AUTH0}userinfo`],
    client_id: AUTH0_CLIENT,
    exp: ISSUED_AT + 86_400,
    iat: ISSUED_AT,
    jti: '73WakrfVbNJBaAmhQtEeDv',
    scope: 'openid profile orders:read',
  },
};

const OKTA = 'https://acme.okta.com/oauth2/default';
const OKTA_CLIENT = '0oaosna3ilNxgPTmk0h7';
const OKTA_USER = '00uixa271s6x7qt8I0h7';
const okta: Shape = {
  provider: 'okta',
  what: 'a user, custom authorization server',
  source: 'https://developer.okta.com/docs/guides/request-user-consent/main/',
  page: 'providers/okta.md',
  configuration: 0,
  header: { alg: 'RS256', typ: undefined },
  claims: {
    ver: 1,
    jti: 'AT.q1w2e3r4t5y6u7i8o9p0',
    iss: OKTA,
    aud: 'api://orders',
    iat: ISSUED_AT,
    exp: ISSUED_AT + 3600,
    cid: OKTA_CLIENT,
    uid: OKTA_USER,
    scp: ['openid', 'orders:read'],
    auth_time: ISSUED_AT - 60,
    sub: 'alice@example.com',
  },
  upstream: { 'x-user-id': OKTA_USER, 'x-client-id': OKTA_CLIENT, 'x-scopes': 'openid orders:read' },
  refused: {
    'another client': { changes: { aud: 'api://billing', cid: '0oaother' } },
    // The org authorization server is another issuer; its tokens are for Okta's own APIs.
    'another tenant': { changes: { iss: 'https://acme.okta.com', aud: 'https://acme.okta.com' } },
    'ID token': {
      claims: {
        sub: OKTA_USER,
        ver: 1,
        iss: OKTA,
        aud: OKTA_CLIENT,
        iat: ISSUED_AT,
        exp: ISSUED_AT + 3600,
        jti: 'ID.a1s2d3f4g5h6j7k8l9',
        amr: ['mfa', 'pwd'],
        idp: '00oixa26ycdNcX0VT0h7',
        nonce: 'UBGW',
        auth_time: ISSUED_AT - 60,
      },
    },
    'refresh token': OPAQUE_REFRESH,
  },
};

export const CLOUD: readonly Shape[] = [
  entraUser,
  entraDaemon,
  entraV1,
  entraTenants,
  auth0,
  auth0Rfc9068,
  okta,
];
