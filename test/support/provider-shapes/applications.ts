/** Services for the users of one application: Cognito, Clerk, WorkOS. */
import { ISSUED_AT, OPAQUE_REFRESH, type Shape } from './shape.ts';

const COGNITO = 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EXAMPLE';
const COGNITO_CLIENT = '1example23456789';
const COGNITO_USER = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
const cognito: Shape = {
  provider: 'cognito',
  what: 'a user',
  source:
    'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html',
  page: 'providers/cognito.md',
  configuration: 0,
  header: { alg: 'RS256', typ: undefined },
  claims: {
    sub: COGNITO_USER,
    'cognito:groups': ['buyers'],
    iss: COGNITO,
    version: 2,
    client_id: COGNITO_CLIENT,
    origin_jti: '5b9f50a3-05da-454a-8b99-b79c2349de77',
    event_id: '0ed5ad5c-7182-4ecf-8f3e-1a2b3c4d5e6f',
    token_use: 'access',
    scope: 'openid orders/read',
    auth_time: ISSUED_AT - 60,
    exp: ISSUED_AT + 3600,
    iat: ISSUED_AT,
    jti: '7e6f5a4b-3c2d-41e0-9f8a-7b6c5d4e3f20',
    username: 'alice',
  },
  upstream: {
    'x-user-id': COGNITO_USER,
    'x-client-id': COGNITO_CLIENT,
    'x-scopes': 'openid orders/read',
  },
  refused: {
    'another client': { changes: { client_id: 'otherclient' } },
    'another tenant': {
      changes: { iss: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_OTHERPOOL' },
    },
    'ID token': {
      changes: {
        aud: COGNITO_CLIENT,
        client_id: undefined,
        token_use: 'id',
        'cognito:username': 'alice',
        email: 'alice@example.com',
        scope: undefined,
        version: undefined,
        username: undefined,
      },
    },
    'refresh token': OPAQUE_REFRESH,
  },
};

const CLERK = 'https://clerk.example.com';
const clerk: Shape = {
  provider: 'clerk',
  what: 'a session',
  source: 'https://clerk.com/docs/guides/sessions/session-tokens',
  page: 'providers/clerk.md',
  configuration: 0,
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    azp: 'https://app.example.com',
    exp: ISSUED_AT + 60,
    fva: [7, -1],
    iat: ISSUED_AT,
    iss: CLERK,
    nbf: ISSUED_AT - 10,
    o: { id: 'org_2abc', rol: 'admin', slg: 'acme' },
    sid: 'sess_2abcdef',
    sts: 'active',
    sub: 'user_2abcdef',
    v: 2,
  },
  upstream: { 'x-user-id': 'user_2abcdef', 'x-client-id': 'https://app.example.com' },
  refused: {
    'another client': { changes: { azp: 'https://evil.example.net' } },
    'another tenant': { changes: { iss: 'https://clerk.example.net' } },
    // A token of a JWT template, which is for another service; Clerk's sessions have no ID tokens.
    'ID token': { changes: { sid: undefined, fva: undefined, v: undefined, sts: undefined } },
    'refresh token': OPAQUE_REFRESH,
  },
};

const WORKOS = 'https://api.workos.com/user_management/client_01HEXAMPLE';
const workosSession: Shape = {
  provider: 'workos',
  what: 'an AuthKit session',
  source: 'https://workos.com/docs/reference/authkit/session-tokens',
  page: 'providers/workos.md',
  configuration: 0,
  header: { alg: 'RS256', typ: undefined },
  claims: {
    iss: WORKOS,
    sub: 'user_01HBEQKA6K',
    sid: 'session_01HQSXZGF8',
    org_id: 'org_01HRDMC6CM',
    role: 'member',
    roles: ['member'],
    permissions: ['orders:read'],
    jti: '01HQSXZXPPFPKMDD32RKTFY6PV',
    exp: ISSUED_AT + 300,
    iat: ISSUED_AT,
  },
  upstream: { 'x-user-id': 'user_01HBEQKA6K' },
  refused: {
    'another client': {
      changes: { iss: 'https://api.workos.com/user_management/client_01HOTHER' },
    },
    'another tenant': { changes: { iss: 'https://auth.example.net/user_management/client_01HEXAMPLE' } },
    // AuthKit sessions have none; a token without a session is what comes nearest.
    'ID token': { changes: { sid: undefined, aud: 'client_01HEXAMPLE', nonce: 'n-0S6' } },
    'refresh token': OPAQUE_REFRESH,
  },
};
const workosConnect: Shape = {
  ...workosSession,
  what: 'a Connect application',
  source: 'https://workos.com/docs/authkit/connect/token-claims',
  configuration: 1,
  claims: {
    iss: 'https://acme.authkit.app',
    aud: 'client_01HENVIRONMENT',
    sub: 'user_01HBEQKA6K',
    client_id: 'client_01HCONNECT',
    org_id: 'org_01HRDMC6CM',
    sid: 'app_consent_01HQ',
    scope: 'openid orders:read',
    jti: '01HQSXZXPPFPKMDD32RKTFY6PW',
    exp: ISSUED_AT + 300,
    iat: ISSUED_AT,
  },
  upstream: {
    'x-user-id': 'user_01HBEQKA6K',
    'x-client-id': 'client_01HCONNECT',
    'x-scopes': 'openid orders:read',
  },
  refused: {
    'another client': { changes: { aud: 'client_01HOTHERENV' } },
    'another tenant': { changes: { iss: 'https://globex.authkit.app' } },
    'ID token': { changes: { client_id: undefined, scope: undefined, jti: undefined, nonce: 'n-0S6' } },
    'refresh token': OPAQUE_REFRESH,
  },
};

export const APPLICATIONS: readonly Shape[] = [cognito, clerk, workosSession, workosConnect];
