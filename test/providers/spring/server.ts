/** A real Spring Authorization Server, built by Maven, with clients and a user as Spring Boot’s properties set them up. */
import { join } from 'node:path';
import type { Test } from 'tap';
import { freePort } from '../../support/redis.ts';
import { installed, run, sourceOf } from '../support/installed.ts';
import type { Client } from '../support/oauth-client.ts';
import { startServerProcess } from '../support/server-process.ts';

export interface Spring {
  readonly url: string;
  /** Signs with a new key from now on; the others stay published. */
  rotate(): Promise<void>;
  /** Takes back all keys but the newest. */
  withdraw(): Promise<void>;
}

const client = (id: string): Client => ({ id, secret: `secret-of-${id}` });
/** Gets JWTs. */
export const WEB = client('web');
/** Gets opaque tokens ("reference"). */
export const OPAQUE = client('opaque');
export const USER = { name: 'alice', password: 'a password of the tests' };
export const REDIRECT_URI = 'http://127.0.0.1/callback';

export function jar(): string {
  const sources = ['spring/pom.xml', 'spring/src/main/java/test/AuthorizationServer.java'].map(sourceOf);
  const folder = installed('spring', sources, (folder) => {
    run('mvn', ['-q', '-B', '-f', sources[0] ?? '', `-Dbuild.folder=${folder}`, 'package'], folder);
  });
  return join(folder, 'authorization-server.jar');
}

const registration = ({ id, secret }: Client, format: string): object => ({
  registration: {
    'client-id': id,
    'client-secret': `{noop}${secret}`,
    'client-authentication-methods': ['client_secret_basic'],
    'authorization-grant-types': ['authorization_code', 'refresh_token', 'client_credentials'],
    'redirect-uris': [REDIRECT_URI],
    scopes: ['openid', 'orders:read', 'orders:write'],
  },
  'require-proof-key': true,
  token: { 'access-token-format': format },
});

export async function startSpring(t: Test): Promise<Spring> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const properties = {
    server: { address: '127.0.0.1', port },
    spring: {
      main: { 'banner-mode': 'off' },
      security: {
        user: USER,
        oauth2: {
          authorizationserver: {
            issuer: url,
            client: { web: registration(WEB, 'self-contained'), opaque: registration(OPAQUE, 'reference') },
          },
        },
      },
    },
  };
  const program = jar();
  await startServerProcess(t, ['java', '-Xmx256m', '-XX:TieredStopAtLevel=1', '-jar', program], {
    cwd: join(program, '..'),
    env: { SPRING_APPLICATION_JSON: JSON.stringify(properties) },
    readyUrl: `${url}/.well-known/openid-configuration`,
  });
  const keys = async (method: string): Promise<void> => {
    const { ok, status } = await fetch(`${url}/keys`, { method });
    if (!ok) throw new Error(`${method} /keys: ${status}`);
  };
  return { url, rotate: () => keys('POST'), withdraw: () => keys('DELETE') };
}
