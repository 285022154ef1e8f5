/** How the gateway authenticates at an authorization server: RFC 6749 section 2.3, RFC 7523, RFC 8705 section 2. */
import {
  ClientSecretPost,
  modifyAssertion,
  None,
  PrivateKeyJwt,
  TlsClientAuth,
  type ClientAuth,
} from 'oauth4webapi';
import type { ClientKey } from './client-key.ts';

export type ClientCredentials =
  | {
      readonly method: 'client_secret_basic' | 'client_secret_post';
      readonly clientId: string;
      readonly clientSecret: string;
    }
  | { readonly method: 'private_key_jwt'; readonly clientId: string; readonly key: ClientKey }
  /** By the certificate of the connection: the form names the client. */
  | { readonly method: 'tls_client_auth'; readonly clientId: string }
  /** By the token of the server access (server-access.ts). */
  | { readonly method: 'bearer' }
  /** The form names the client, if there is one. */
  | { readonly method: 'none'; readonly clientId: string | undefined };

export function clientAuthentication(credentials: ClientCredentials): ClientAuth {
  switch (credentials.method) {
    case 'client_secret_basic':
      return clientSecretBasic(credentials.clientSecret);
    case 'client_secret_post':
      return ClientSecretPost(credentials.clientSecret);
    case 'private_key_jwt':
      return privateKeyJwt(credentials.key);
    case 'tls_client_auth':
      return TlsClientAuth();
    case 'bearer':
      return () => undefined;
    case 'none':
      return credentials.clientId === undefined ? () => undefined : None();
  }
}

/** `aud` is the issuer alone, whatever the endpoint; it lives for 60 seconds, and has a fresh jti. */
function privateKeyJwt({ key, keyId, algorithm }: ClientKey): ClientAuth {
  return PrivateKeyJwt(keyId === undefined ? key : { key, kid: keyId }, {
    [modifyAssertion]: (header) => {
      // Servers know EdDSA; the library writes Ed25519, which is the newer name of the same (RFC 9864).
      header['alg'] = algorithm;
    },
  });
}

/**
 * RFC 6749 section 2.3.1. Not oauth4webapi's: that one also encodes `-`, `.`, `_` and `*`, which form encoding leaves
 * as they are, and servers that do not decode refuse every name with a hyphen then.
 */
function clientSecretBasic(clientSecret: string): ClientAuth {
  return (_server, { client_id }, _body, headers) => {
    const credentials = `${formEncoded(client_id)}:${formEncoded(clientSecret)}`;
    headers.set('authorization', `Basic ${btoa(credentials)}`);
  };
}

/** application/x-www-form-urlencoded: all but letters, digits and `*-._`; a space as `+`. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
