/** The shape of `issuers.NAME.http`: how the servers of one issuer are reached. Pure. */
import { z } from 'zod';
import { text } from './scalars.ts';
import { tlsClient } from './tls-schema.ts';

/** What `proxy` means. Loading the configuration looks up what the environment says. */
export interface ProxySetting {
  readonly isEnvironment: boolean;
  /** Of the proxy; undefined: none. It may hold a password. */
  url: string | undefined;
  /** As NO_PROXY lists them. */
  noProxy: string;
}

const PROXY_HINT =
  'must be environment, or the URL of an HTTP proxy such as http://proxy.example.com:3128 (with user:password@ if it asks for them)';

/** Scheme http, host, port, and perhaps credentials: nothing that a proxy has no use for. */
export function isProxyUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, pathname, search, hash } = new URL(url);
  return protocol === 'http:' && pathname === '/' && search === '' && hash === '' && canDecode(url);
}

function canDecode(url: string): boolean {
  const { username, password } = new URL(url);
  try {
    return !decodeURIComponent(`${username}${password}`).match(/[\x00-\x1f\x7f]/);
  } catch {
    return false;
  }
}

export const issuerHttp = z
  .strictObject({
    tls: tlsClient
      .optional()
      .describe(
        'TLS to https:// servers: trusted authorities, client certificate and name. The client certificate and server_name are used only for origins that this configuration names.',
      ),
    proxy: z
      .string()
      .refine((value) => value === 'environment' || isProxyUrl(value), PROXY_HINT)
      .transform((value): ProxySetting => ({
        isEnvironment: value === 'environment',
        url: value === 'environment' ? undefined : value,
        noProxy: '',
      }))
      .optional()
      .describe(
        'HTTP proxy for https:// servers, by CONNECT: http://host:port or http://user:password@host:port. environment: what HTTPS_PROXY and NO_PROXY say. Loopback is reached without it. Absent: no proxy, whatever the environment says.',
      ),
    bearer_token_file: text
      .optional()
      .describe(
        'File that contains the token which the gateway itself sends as "Authorization: Bearer" to the origins that this configuration names, such as /var/run/secrets/kubernetes.io/serviceaccount/token. It is read for each call, so that it may be rotated. Introspection sends it only with auth_method: bearer.',
      ),
  })
  .describe(
    'How the servers of this issuer are reached, for discovery, keys, introspection and validation. Set it for a private authority, mutual TLS, a proxy, or a server that asks for a token (Kubernetes).',
  );
export type IssuerHttp = z.output<typeof issuerHttp>;
