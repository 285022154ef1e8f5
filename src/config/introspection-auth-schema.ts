/** How the gateway authenticates at an introspection endpoint, and how its responses are signed: the keys of the configuration. Pure. */
import { z } from 'zod';
import { httpUrl, text } from './scalars.ts';

export const AUTH_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'tls_client_auth',
  'bearer',
  'none',
] as const;
export type AuthMethod = (typeof AUTH_METHODS)[number];

export const introspectionAuthentication = {
  client_id: text
    .optional()
    .describe(
      'Client id that the gateway authenticates with. Required, unless auth_method is bearer or none.',
    ),
  client_secret: text
    .optional()
    .describe(
      'Client secret, for client_secret_basic and client_secret_post. Prefer client_secret_file, which keeps it out of this file. One of the two is required then.',
    ),
  client_secret_file: text.optional().describe('File that contains the client secret.'),
  key: text
    .optional()
    .describe(
      'Private key for private_key_jwt, as a JWK or PEM. Prefer key_file, which keeps it out of this file.',
    ),
  key_file: text
    .optional()
    .describe(
      'File that contains the private key for private_key_jwt: a JWK, or PEM (PKCS #8). The kid and alg of a JWK are used; without alg, RSA keys sign by RS256. RSA, P-256, P-384, P-521 and Ed25519.',
    ),
  auth_method: z
    .enum(AUTH_METHODS, `must be one of ${AUTH_METHODS.join(', ')}`)
    .prefault('client_secret_basic')
    .describe(
      'How the gateway authenticates. client_secret_basic: by HTTP Basic. client_secret_post: in the form. private_key_jwt: by a JWT that key_file signs for issuer (RFC 7523). tls_client_auth: by the client certificate of http.tls (RFC 8705). bearer: by the token of http.bearer_token_file. none: not at all; client_id is sent if it is set. Choose what your server accepts.',
    ),
  signed_response: z
    .boolean()
    .prefault(false)
    .describe(
      'Asks for signed responses (RFC 9701) and accepts no others: a response that is not signed by issuer for client_id is 503. Set it if responses must be proved beyond TLS. It needs issuer and client_id.',
    ),
  jwks_url: httpUrl
    .optional()
    .describe(
      'URL of the key set that signs responses. Absent: it is found by discovery from issuer. Only with signed_response.',
    ),
};
