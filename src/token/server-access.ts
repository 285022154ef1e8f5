/**
 * How the servers of one issuer are reached: certificates, a proxy, a token of the gateway's own. What tells the
 * gateway apart from others (client certificate, `server_name`, token) is for origins that the configuration names; a
 * server that metadata names gets none of it.
 */
import { readFile, stat } from 'node:fs/promises';
import { isLoopback } from '../http/loopback.ts';
import type { TlsClient } from '../tls/client-options.ts';
import type { Proxy } from './proxy-tunnel.ts';
import { B64TOKEN } from './token-text.ts';

export interface ServerAccess {
  readonly tls: TlsClient;
  readonly proxy: Proxy | undefined;
  /** Absolute. Read for each call, since it is rotated. */
  readonly bearerTokenFile: string | undefined;
  /** Those that the configuration names. */
  readonly origins: readonly string[];
}

/** Does the configuration name the server of this URL? */
export function isConfigured({ origins }: ServerAccess, url: string): boolean {
  return origins.includes(new URL(url).origin);
}

/** Is there something that only configured origins get? */
export function hasCredentials({ tls, bearerTokenFile }: ServerAccess): boolean {
  return tls.cert !== undefined || tls.servername !== undefined || bearerTokenFile !== undefined;
}

/**
 * The gateway's own token for a call; undefined where this server gets none: the configuration does not name it, or
 * the token would travel in plaintext.
 *
 * @throws TokenFileError where the file has no token: the call must not be made
 */
export async function bearerTokenFor(access: ServerAccess, url: string): Promise<string | undefined> {
  const { bearerTokenFile: file } = access;
  const { protocol, hostname } = new URL(url);
  if (file === undefined || !isConfigured(access, url)) return undefined;
  if (protocol !== 'https:' && !isLoopback(hostname)) return undefined;
  return readToken(file);
}

/** The token file is of no use: nothing was sent. */
export class TokenFileError extends Error {
  override readonly name = 'TokenFileError';
}

/** Far beyond any token: a file of another kind is not read to its end. */
const MAX_TOKEN_BYTES = 64 * 1024;

async function readToken(file: string): Promise<string> {
  const unusable = (what: string, cause?: unknown): TokenFileError =>
    new TokenFileError(`bearer_token_file: ${file} ${what}`, { cause });
  let text: string;
  try {
    const found = await stat(file);
    // Reading a pipe would wait for its writer.
    if (!found.isFile() || found.size > MAX_TOKEN_BYTES) throw new Error('it is no small file');
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw unusable('cannot be read; create it, or correct its name or permissions', error);
  }
  const token = text.trim();
  if (token === '') throw unusable('is empty; put a token into it');
  if (!B64TOKEN.test(token)) throw unusable('holds something else than one token; put one token into it');
  return token;
}
