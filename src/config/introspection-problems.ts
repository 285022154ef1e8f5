/** What each way to authenticate at an introspection endpoint needs, and what has no meaning beside it. Pure. */
import type { AuthMethod } from './introspection-auth-schema.ts';
import type { Problem } from './problem.ts';
import { rawOf, type Path, type Raw } from './raw-document.ts';

/** A credential of the configuration: the keys that set it, and the one to add. */
interface Credential {
  readonly keys: readonly string[];
  readonly add: string;
}

const SECRET: Credential = { keys: ['client_secret', 'client_secret_file'], add: 'client_secret_file' };
const KEY: Credential = { keys: ['key', 'key_file'], add: 'key_file' };
const CLIENT_ID: Credential = { keys: ['client_id'], add: 'client_id' };

const NEEDS: Readonly<Record<AuthMethod, readonly Credential[]>> = {
  client_secret_basic: [CLIENT_ID, SECRET],
  client_secret_post: [CLIENT_ID, SECRET],
  private_key_jwt: [CLIENT_ID, KEY],
  tls_client_auth: [CLIENT_ID],
  bearer: [],
  none: [],
};

export function introspectionProblems(issuer: Raw, path: Path): Problem[] {
  if (issuer['introspection'] === undefined) return [];
  const introspection = rawOf(issuer['introspection']);
  const { auth_method: method = 'client_secret_basic' } = introspection;
  if (typeof method !== 'string' || !Object.hasOwn(NEEDS, method)) return [];
  const where = [...path, 'introspection'];
  return [
    ...missing(introspection, method as AuthMethod, where),
    ...meaningless(introspection, method as AuthMethod, where),
    ...elsewhereNeeded(issuer, introspection, method as AuthMethod, where),
    ...signedProblems(issuer, introspection, where),
  ];
}

const isSet = (holder: Raw, { keys }: Credential): boolean => keys.some((key) => holder[key] !== undefined);

function missing(introspection: Raw, method: AuthMethod, path: Path): Problem[] {
  return NEEDS[method]
    .filter((credential) => !isSet(introspection, credential))
    .map(({ keys: [name = ''], add }) => ({
      path,
      message: `has no ${name}, which auth_method: ${method} needs; add ${add}`,
    }));
}

function meaningless(introspection: Raw, method: AuthMethod, path: Path): Problem[] {
  const others = [SECRET, KEY].filter((credential) => !NEEDS[method].includes(credential));
  // A signed response names the client that it is for.
  if (method === 'bearer' && introspection['signed_response'] !== true) others.push(CLIENT_ID);
  return others
    .flatMap(({ keys }) => keys)
    .filter((key) => introspection[key] !== undefined)
    .map((key) => ({
      path: [...path, key],
      atKey: true,
      message: `has no meaning with auth_method: ${method}; remove it, or choose another auth_method`,
    }));
}

/** What stands outside of `introspection`: the issuer that an assertion is for, the certificate, the token. */
function elsewhereNeeded(issuer: Raw, introspection: Raw, method: AuthMethod, path: Path): Problem[] {
  const { tls, bearer_token_file: token } = rawOf(issuer['http']);
  const { cert, cert_file } = rawOf(tls);
  const at = (message: string): Problem[] => [{ path, message }];
  if (method === 'private_key_jwt' && issuer['issuer'] === undefined)
    return at('auth_method: private_key_jwt needs the issuer that its JWT is for; add issuer beside it');
  if (method === 'tls_client_auth') {
    const { url } = introspection;
    if (cert === undefined && cert_file === undefined)
      return at(
        'auth_method: tls_client_auth needs a client certificate; add http.tls.cert_file and key_file',
      );
    if (typeof url === 'string' && !url.startsWith('https:'))
      return at('auth_method: tls_client_auth needs an https:// url; change it');
  }
  if (method === 'bearer' && token === undefined)
    return at('auth_method: bearer needs the token of the gateway; add http.bearer_token_file');
  if (
    method !== 'bearer' &&
    token !== undefined &&
    introspection['signed_response'] !== true &&
    issuer['discovery'] === undefined &&
    issuer['jwks_url'] === undefined
  )
    return [
      {
        path: [...path.slice(0, -1), 'http', 'bearer_token_file'],
        atKey: true,
        message: `is not sent with auth_method: ${method}; set auth_method: bearer, or remove it`,
      },
    ];
  return [];
}

function signedProblems(issuer: Raw, introspection: Raw, path: Path): Problem[] {
  if (introspection['signed_response'] !== true)
    return introspection['jwks_url'] === undefined
      ? []
      : [
          {
            path: [...path, 'jwks_url'],
            atKey: true,
            message: 'has no meaning without signed_response: true; add that, or remove it',
          },
        ];
  return [
    ...(issuer['issuer'] === undefined
      ? [{ path, message: 'signed_response needs the issuer that signs; add issuer beside introspection' }]
      : []),
    ...(introspection['client_id'] === undefined
      ? [{ path, message: 'signed_response needs the client that responses are for; add client_id' }]
      : []),
  ];
}
