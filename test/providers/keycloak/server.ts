/** A real Keycloak (from Maven Central) with its database in memory, and its admin API. */
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { freePort } from '../../support/redis.ts';
import { installed, run } from '../support/installed.ts';
import { startServerProcess } from '../support/server-process.ts';

const VERSION = '26.7.3';
export const ARTIFACT = `org.keycloak:keycloak-quarkus-dist:${VERSION}:zip`;
/** Decided when the server is built: a start then takes half the time. */
const BUILD = [
  'build',
  '--db=dev-mem',
  '--cache=local',
  '--health-enabled=false',
  '--metrics-enabled=false',
  // Shared signals are experimental.
  '--features=ssf',
];
/** By itself it pushes to https:// beyond loopback alone, every 30 s. */
const SIGNALS = ['allow-insecure-push-targets=true', 'outbox-drainer-interval=500ms'].map(
  (option) => `--spi-ssf-transmitter--default--${option}`,
);

export interface Keycloak {
  readonly url: string;
  /** Calls the admin REST API; throws where it refuses. Returns the parsed body, or the id of what was created. */
  readonly admin: <T = unknown>(method: string, path: string, body?: unknown) => Promise<T>;
}

export function distribution(): string {
  const folder = installed(`keycloak-ssf-${VERSION}`, [], (folder) => {
    run(
      'mvn',
      ['-q', '-B', 'dependency:unpack', `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${folder}`],
      folder,
    );
    run('sh', [join(folder, `keycloak-${VERSION}`, 'bin', 'kc.sh'), ...BUILD], folder);
  });
  return join(folder, readdirSync(folder).find((name) => name.startsWith('keycloak-')) ?? '');
}

export async function startKeycloak(t: Test): Promise<Keycloak> {
  const home = distribution();
  const [port, password] = [await freePort(), randomUUID()];
  const url = `http://127.0.0.1:${port}`;
  await startServerProcess(
    t,
    [
      'sh',
      join(home, 'bin', 'kc.sh'),
      'start',
      '--optimized',
      '--cache=local',
      '--http-enabled=true',
      '--http-host=127.0.0.1',
      `--http-port=${port}`,
      `--hostname=${url}`,
      ...SIGNALS,
    ],
    {
      cwd: home,
      env: {
        KC_BOOTSTRAP_ADMIN_USERNAME: 'admin',
        KC_BOOTSTRAP_ADMIN_PASSWORD: password,
        JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx512m',
        JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
      },
      readyUrl: `${url}/realms/master/.well-known/openid-configuration`,
    },
  );
  return { url, admin: adminOf(url, password) };
}

/** The access tokens of the admin live for a minute. */
const ADMIN_TOKEN_MS = 40_000;

function adminOf(url: string, password: string): Keycloak['admin'] {
  let token = { text: '', until: 0 };
  return async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    if (Date.now() > token.until) {
      const form = { grant_type: 'password', client_id: 'admin-cli', username: 'admin', password };
      const response = await fetch(`${url}/realms/master/protocol/openid-connect/token`, {
        method: 'POST',
        body: new URLSearchParams(form),
      });
      const { access_token } = (await response.json()) as { access_token: string };
      token = { text: access_token, until: Date.now() + ADMIN_TOKEN_MS };
    }
    const response = await fetch(`${url}/admin/realms${path}`, {
      method,
      headers: { authorization: `Bearer ${token.text}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    const created = response.headers.get('location')?.split('/').at(-1);
    return (text === '' ? created : JSON.parse(text)) as T;
  };
}
