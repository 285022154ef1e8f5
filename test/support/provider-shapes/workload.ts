/** Platforms: Google, Firebase, Supabase, and the machines that prove where they run. */
import { ISSUED_AT, OPAQUE_REFRESH, type Refused, type Shape } from './shape.ts';

const GOOGLE_SOURCE =
  'https://cloud.google.com/nodejs/docs/reference/google-auth-library/latest/google-auth-library/tokenpayload';
const GOOGLE_CLIENT = '407408718192.apps.googleusercontent.com';
/** Google's and Firebase's own refresh tokens. */
const GOOGLE_REFRESH: Refused = { opaque: '1//0gN0cWJhcXVlLXJlZnJlc2gtdG9rZW4' };

const googleUser: Shape = {
  provider: 'google',
  what: 'a user of a Workspace domain',
  source: GOOGLE_SOURCE,
  page: 'providers/google.md',
  configuration: 0,
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    iss: 'https://accounts.google.com',
    azp: GOOGLE_CLIENT,
    aud: GOOGLE_CLIENT,
    sub: '110169484474386276334',
    hd: 'example.com',
    email: 'alice@example.com',
    email_verified: true,
    at_hash: 'HK6E_P6Dh8Y93mRNtsDB1Q',
    nonce: 'n-0S6_WzA2Mj',
    name: 'Alice',
    iat: ISSUED_AT,
    exp: ISSUED_AT + 3600,
  },
  upstream: { 'x-user-id': '110169484474386276334', 'x-client-id': GOOGLE_CLIENT },
  refused: {
    'another client': {
      changes: { aud: '999.apps.googleusercontent.com', azp: '999.apps.googleusercontent.com' },
    },
    // An account outside the domain, which can get a token for the same client.
    'another tenant': { changes: { hd: undefined, email: 'mallory@gmail.com', sub: '999' } },
    // ID tokens are what passes here.
    'ID token': undefined,
    'refresh token': GOOGLE_REFRESH,
  },
};

const ROBOT = 'deployer@acme-prod.iam.gserviceaccount.com';
const googleServiceAccount: Shape = {
  ...googleUser,
  what: 'a service account',
  configuration: 1,
  claims: {
    iss: 'https://accounts.google.com',
    azp: '103857421946573829104',
    aud: 'https://api.example.com',
    sub: '103857421946573829104',
    email: ROBOT,
    email_verified: true,
    iat: ISSUED_AT,
    exp: ISSUED_AT + 3600,
  },
  upstream: { 'x-user-id': '103857421946573829104', 'x-client-id': '103857421946573829104' },
  refused: {
    'another client': { changes: { aud: 'https://other.example.com' } },
    // Every Google Cloud project can mint a token for this audience.
    'another tenant': {
      changes: { sub: '999', azp: '999', email: 'robot@mallory-project.iam.gserviceaccount.com' },
    },
    'ID token': undefined,
    'refresh token': GOOGLE_REFRESH,
  },
};

const firebase: Shape = {
  provider: 'firebase',
  what: 'a user',
  source: 'https://firebase.google.com/docs/reference/admin/node/firebase-admin.auth.decodedidtoken',
  page: 'providers/google.md',
  configuration: 2,
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    name: 'Alice',
    iss: 'https://securetoken.google.com/acme-prod',
    aud: 'acme-prod',
    auth_time: ISSUED_AT - 60,
    user_id: 'A123B456C78',
    sub: 'A123B456C78',
    iat: ISSUED_AT,
    exp: ISSUED_AT + 3600,
    email: 'alice@example.com',
    email_verified: true,
    firebase: { identities: { email: ['alice@example.com'] }, sign_in_provider: 'password' },
  },
  upstream: { 'x-user-id': 'A123B456C78' },
  refused: {
    'another client': { changes: { aud: 'other-project' } },
    'another tenant': {
      changes: { iss: 'https://securetoken.google.com/other-project', aud: 'other-project' },
    },
    'ID token': undefined,
    'refresh token': GOOGLE_REFRESH,
  },
};

const CLUSTER = 'https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE';
const kubernetes: Shape = {
  provider: 'kubernetes',
  what: 'a pod',
  source: 'https://gist.github.com/tsaarni/79b8b51610c948562cfe5d2e1002cae4',
  page: 'providers/kubernetes.md',
  configuration: 0,
  header: { alg: 'RS256', typ: undefined },
  claims: {
    aud: ['https://api.example.com'],
    exp: ISSUED_AT + 3600,
    iat: ISSUED_AT,
    iss: CLUSTER,
    jti: 'e51f1fbc-4733-4b85-a59f-ba80c0523874',
    'kubernetes.io': {
      namespace: 'prod',
      node: { name: 'worker-1', uid: '517eb86e-b863-451b-bf70-86cb61439a3a' },
      pod: { name: 'checkout-6b7c9d', uid: '0d8b260e-ef0e-45fb-be8e-ff44f97722e8' },
      serviceaccount: { name: 'checkout', uid: 'e6a8680e-d103-4cce-80ea-03acbbeacf7d' },
    },
    nbf: ISSUED_AT,
    sub: 'system:serviceaccount:prod:checkout',
  },
  upstream: { 'x-user-id': 'system:serviceaccount:prod:checkout' },
  refused: {
    'another client': { changes: { aud: ['https://kubernetes.default.svc.cluster.local'] } },
    'another tenant': { changes: { sub: 'system:serviceaccount:dev:checkout' } },
    'ID token': undefined,
    // The token of a Secret: it never expires.
    'refresh token': {
      claims: {
        iss: 'kubernetes/serviceaccount',
        'kubernetes.io/serviceaccount/namespace': 'prod',
        'kubernetes.io/serviceaccount/secret.name': 'checkout-token-pnj77',
        'kubernetes.io/serviceaccount/service-account.name': 'checkout',
        sub: 'system:serviceaccount:prod:checkout',
      },
    },
  },
};

const githubActions: Shape = {
  provider: 'github-actions',
  what: 'a job',
  source: 'https://docs.github.com/en/actions/reference/security/oidc',
  page: 'providers/github-actions.md',
  configuration: 0,
  header: { alg: 'RS256', typ: 'JWT' },
  claims: {
    jti: '1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d',
    sub: 'repo:acme/shop:environment:prod',
    environment: 'prod',
    aud: 'https://api.example.com',
    ref: 'refs/heads/main',
    sha: '9b1d5e0c7a3f',
    repository: 'acme/shop',
    repository_owner: 'acme',
    actor_id: '12',
    repository_visibility: 'private',
    repository_id: '74',
    repository_owner_id: '65',
    run_id: '1834567890',
    run_number: '10',
    run_attempt: '2',
    actor: 'alice',
    workflow: 'deploy',
    head_ref: '',
    base_ref: '',
    event_name: 'workflow_dispatch',
    ref_type: 'branch',
    job_workflow_ref: 'acme/automation/.github/workflows/deploy.yml@refs/heads/main',
    iss: 'https://token.actions.githubusercontent.com',
    nbf: ISSUED_AT - 600,
    exp: ISSUED_AT + 300,
    iat: ISSUED_AT,
  },
  upstream: { 'x-user-id': 'repo:acme/shop:environment:prod', 'x-client-id': '74' },
  refused: {
    'another client': { changes: { aud: 'https://github.com/acme' } },
    // A repository elsewhere that has taken the name.
    'another tenant': { changes: { repository_owner_id: '666', repository_id: '667' } },
    'ID token': undefined,
    'refresh token': undefined,
  },
};

const SUPABASE = 'https://abcdefghijklmnop.supabase.co/auth/v1';
const SUPABASE_USER = '123e4567-e89b-42d3-a456-426614174000';
const supabase: Shape = {
  provider: 'supabase',
  what: 'a user, asymmetric key',
  source: 'https://supabase.com/docs/guides/auth/jwt-fields',
  page: 'providers/supabase.md',
  configuration: 0,
  header: { alg: 'ES256', typ: 'JWT' },
  claims: {
    aal: 'aal1',
    amr: [{ method: 'password', timestamp: ISSUED_AT - 60 }],
    app_metadata: { provider: 'email' },
    aud: 'authenticated',
    email: 'alice@example.com',
    exp: ISSUED_AT + 3600,
    iat: ISSUED_AT,
    is_anonymous: false,
    iss: SUPABASE,
    phone: '',
    role: 'authenticated',
    session_id: '9d8c7b6a-5f4e-4d3c-8b2a-190807060504',
    sub: SUPABASE_USER,
    user_metadata: { name: 'Alice' },
  },
  upstream: { 'x-user-id': SUPABASE_USER },
  refused: {
    // The public key of the project, which every visitor has.
    'another client': {
      claims: {
        iss: 'supabase',
        ref: 'abcdefghijklmnop',
        role: 'anon',
        iat: ISSUED_AT,
        exp: ISSUED_AT + 315_360_000,
      },
    },
    'another tenant': { changes: { iss: 'https://otherprojectother.supabase.co/auth/v1' } },
    // Supabase has none; the role anon under the project's own issuer is what comes nearest.
    'ID token': { changes: { role: 'anon', aud: 'anon' } },
    'refresh token': OPAQUE_REFRESH,
  },
};
const supabaseShared: Shape = {
  ...supabase,
  what: 'a user, shared secret',
  configuration: 1,
  header: { alg: 'HS256', typ: 'JWT' },
};

const supabaseBoth: readonly Shape[] = [
  { ...supabase, what: 'a user, asymmetric key beside the secret', configuration: 2 },
  { ...supabaseShared, what: 'a user, secret beside the keys', configuration: 2 },
];

export const WORKLOAD: readonly Shape[] = [
  googleUser,
  googleServiceAccount,
  firebase,
  kubernetes,
  githubActions,
  supabase,
  supabaseShared,
  ...supabaseBoth,
];
