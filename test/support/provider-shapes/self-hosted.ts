/** Servers that teams run themselves. */
import { ISSUED_AT, OPAQUE_REFRESH, type Shape } from './shape.ts';

const KEYCLOAK = 'https://login.example.com/realms/acme';
const ALICE = '9f1c2a44-6d0e-4f5b-8a77-2f1d3c5b7e90';
const SESSION = '5d1b7c3e-0a2f-4c68-9b1d-8e7f6a5c4b3d';

const keycloak: Shape = {
  provider: 'keycloak',
  what: 'a user',
  source: 'https://gist.github.com/phacman/bd288c7abac1d3fc1694b7e191e27e4c',
  page: 'providers/keycloak.md',
  configuration: 0,
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    exp: ISSUED_AT + 300,
    iat: ISSUED_AT,
    auth_time: ISSUED_AT - 60,
    jti: 'onrtac:2b7e4f10-93c5-4d1a-8b66-70a1c9d2e3f4',
    iss: KEYCLOAK,
    aud: ['orders-api', 'account'],
    sub: ALICE,
    typ: 'Bearer',
    azp: 'web',
    sid: SESSION,
    acr: '1',
    'allowed-origins': ['https://app.example.com'],
    realm_access: { roles: ['offline_access', 'buyer'] },
    resource_access: { account: { roles: ['view-profile'] } },
    scope: 'openid profile orders:read',
    preferred_username: 'alice',
  },
  upstream: { 'x-user-id': ALICE, 'x-client-id': 'web', 'x-scopes': 'openid profile orders:read' },
  refused: {
    'another client': { changes: { aud: 'account', azp: 'other-app' } },
    'another tenant': { changes: { iss: 'https://login.example.com/realms/globex' } },
    'ID token': {
      changes: { aud: 'orders-api', typ: 'ID', at_hash: 'Qm9yZWQgaGFzaCBvZiBh', scope: undefined },
    },
    'refresh token': { changes: { aud: KEYCLOAK, typ: 'Refresh', acr: undefined } },
  },
};

/** Keycloak's option "Use "at+jwt" as access token header type". */
const keycloakRfc9068: Shape = {
  ...keycloak,
  what: 'a user, with the RFC 9068 option',
  // A real Keycloak issues it there.
  source: 'npm run test:providers',
  header: { alg: 'RS256', typ: 'at+jwt' },
};

const ZITADEL = 'https://acme.zitadel.cloud';
const zitadel: Shape = {
  provider: 'zitadel',
  what: 'a user',
  source: 'https://zitadel.com/docs/apis/openidoauth/claims',
  page: 'providers/zitadel.md',
  configuration: 0,
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    iss: ZITADEL,
    sub: '260254312345678901',
    aud: ['260254398765432109@orders', '260254311111111111'],
    exp: ISSUED_AT + 43_200,
    iat: ISSUED_AT,
    nbf: ISSUED_AT,
    client_id: '260254398765432109@orders',
    jti: 'V2_260254399999999999-at_260254388888888888',
    'urn:zitadel:iam:org:project:roles': { buyer: { '260254322222222222': 'acme.zitadel.cloud' } },
    'urn:zitadel:iam:user:resourceowner:id': '260254322222222222',
  },
  upstream: { 'x-user-id': '260254312345678901', 'x-client-id': '260254398765432109@orders' },
  refused: {
    'another client': { changes: { aud: ['999@other', '999'], client_id: '999@other' } },
    'another tenant': { changes: { iss: 'https://globex.zitadel.cloud' } },
    'ID token': {
      changes: {
        jti: undefined,
        client_id: undefined,
        nbf: undefined,
        azp: '260254398765432109@orders',
        at_hash: 'Qm9yZWQgaGFzaCBvZiBh',
        amr: ['pwd'],
        auth_time: ISSUED_AT - 60,
        sid: 'V1_260254377777777777',
      },
    },
    'refresh token': OPAQUE_REFRESH,
  },
};

const AUTHENTIK = 'https://auth.example.com/application/o/orders/';
const AUTHENTIK_CLIENT = 'JbHHYXBLi4WuXhFTN9oC';
const AUTHENTIK_USER = '8b0f5d0d3c1f4c8a9f7e6d5c4b3a29180706f5e4d3c2b1a0';
const authentik: Shape = {
  provider: 'authentik',
  what: 'a user',
  source: 'https://github.com/goauthentik/authentik/blob/main/authentik/providers/oauth2/id_token.py',
  page: 'providers/authentik.md',
  configuration: 0,
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    iss: AUTHENTIK,
    sub: AUTHENTIK_USER,
    aud: AUTHENTIK_CLIENT,
    exp: ISSUED_AT + 300,
    iat: ISSUED_AT,
    auth_time: ISSUED_AT - 60,
    acr: 'goauthentik.io/providers/oauth2/default',
    amr: ['pwd', 'mfa'],
    sid: '3c9e41d6a7f5',
    email: 'alice@example.com',
    preferred_username: 'alice',
    groups: ['buyers'],
    azp: AUTHENTIK_CLIENT,
    uid: 'mJ3kTq0ZbX8y',
    scope: 'openid profile orders:read',
  },
  upstream: {
    'x-user-id': AUTHENTIK_USER,
    'x-client-id': AUTHENTIK_CLIENT,
    'x-scopes': 'openid profile orders:read',
  },
  refused: {
    'another client': { changes: { aud: 'otherclient', azp: 'otherclient' } },
    'another tenant': { changes: { iss: 'https://auth.example.com/application/o/other/' } },
    'ID token': { changes: { azp: undefined, uid: undefined, scope: undefined, nonce: 'n-0S6' } },
    'refresh token': OPAQUE_REFRESH,
  },
};

const HYDRA = 'https://hydra.example.com';
const hydra: Shape = {
  provider: 'hydra',
  what: 'a user',
  source: 'https://github.com/ory/hydra/issues/3524',
  page: 'providers/hydra.md',
  configuration: 0,
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    aud: ['https://api.example.com'],
    client_id: '7f3a2c1e-web',
    exp: ISSUED_AT + 3600,
    ext: {},
    iat: ISSUED_AT,
    iss: HYDRA,
    jti: '0c5fa2d1-9b3e-4a76-8d42-1e0f9c8b7a65',
    nbf: ISSUED_AT,
    scp: ['openid', 'orders:read'],
    sub: 'alice',
  },
  upstream: { 'x-user-id': 'alice', 'x-client-id': '7f3a2c1e-web', 'x-scopes': 'openid orders:read' },
  refused: {
    'another client': { changes: { aud: ['https://other.example.com'], client_id: 'other' } },
    'another tenant': { changes: { iss: 'https://hydra.example.net' } },
    'ID token': {
      changes: {
        client_id: undefined,
        scp: undefined,
        ext: undefined,
        nbf: undefined,
        at_hash: 'Qm9yZWQgaGFzaCBvZiBh',
        auth_time: ISSUED_AT - 60,
        rat: ISSUED_AT - 60,
        sid: SESSION,
      },
    },
    'refresh token': { opaque: 'ory_rt_7d1f0c9b8a7e6d5c4b3a29180f.e7d6c5b4a39281' },
  },
};

const SPRING = 'https://auth.example.com';
const spring: Shape = {
  provider: 'spring',
  what: 'a user',
  source:
    'https://github.com/spring-projects/spring-authorization-server/blob/main/oauth2-authorization-server/src/main/java/org/springframework/security/oauth2/server/authorization/token/JwtGenerator.java',
  page: 'providers/spring.md',
  configuration: 0,
  header: { alg: 'RS256', typ: undefined },
  claims: {
    sub: 'alice',
    aud: 'web',
    nbf: ISSUED_AT,
    scope: ['openid', 'orders:read'],
    iss: SPRING,
    exp: ISSUED_AT + 300,
    iat: ISSUED_AT,
    jti: 'e1a7c4d2-5f3b-48a9-9c0d-2b6e8f1a3c57',
  },
  upstream: { 'x-user-id': 'alice', 'x-client-id': 'web', 'x-scopes': 'openid orders:read' },
  refused: {
    'another client': { changes: { aud: 'other' } },
    'another tenant': { changes: { iss: 'https://auth.example.net' } },
    'ID token': {
      changes: { nbf: undefined, scope: undefined, azp: 'web', auth_time: ISSUED_AT - 60, sid: SESSION },
    },
    'refresh token': OPAQUE_REFRESH,
  },
};

const DUENDE = 'https://identity.example.com';
const duende: Shape = {
  provider: 'duende',
  what: 'a user',
  source: 'https://docs.duendesoftware.com/identityserver/reference/options',
  page: 'providers/duende.md',
  configuration: 0,
  header: { alg: 'RS256', typ: 'at+jwt' },
  claims: {
    iss: DUENDE,
    nbf: ISSUED_AT,
    iat: ISSUED_AT,
    exp: ISSUED_AT + 3600,
    aud: 'orders',
    scope: ['openid', 'orders:read'],
    amr: ['pwd'],
    client_id: 'web_app',
    sub: '88421113',
    auth_time: ISSUED_AT - 60,
    idp: 'local',
    sid: '3D8A1C6E5F7B',
    jti: '2C56A356A306E64AFC7D2C6399E23A17',
  },
  upstream: { 'x-user-id': '88421113', 'x-client-id': 'web_app', 'x-scopes': 'openid orders:read' },
  refused: {
    'another client': { changes: { aud: 'invoices', client_id: 'other' } },
    'another tenant': { changes: { iss: 'https://identity.example.net' } },
    'ID token': {
      header: { typ: 'JWT' },
      changes: {
        aud: 'web_app',
        scope: undefined,
        client_id: undefined,
        jti: undefined,
        nonce: '637455295919',
        at_hash: 'Qm9yZWQgaGFzaCBvZiBh',
      },
    },
    'refresh token': OPAQUE_REFRESH,
  },
};

export const SELF_HOSTED: readonly Shape[] = [
  keycloak,
  keycloakRfc9068,
  zitadel,
  authentik,
  hydra,
  spring,
  duende,
];
