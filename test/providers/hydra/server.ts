/** A real Ory Hydra, built from its Go module, with its database in memory, its admin API, and the login application it needs. */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Test } from 'tap';
import { temporaryFolder } from '../../support/process.ts';
import { freePort } from '../../support/redis.ts';
import { nowSeconds } from '../../support/tokens.ts';
import { startServer } from '../../support/upstream.ts';
import { installed, run, sourceOf } from '../support/installed.ts';
import { startServerProcess } from '../support/server-process.ts';

export interface Hydra {
  readonly url: string;
  readonly adminUrl: string;
  /** Calls the admin API; throws where it refuses. */
  readonly admin: <T = unknown>(method: string, path: string, body?: unknown) => Promise<T>;
}

export function program(): string {
  const sources = ['hydra/main.go', 'hydra/go.mod', 'hydra/go.sum'].map(sourceOf);
  const folder = installed('hydra', sources, (folder) => {
    const build = ['build', '-buildvcs=false', '-trimpath', '-tags', 'sqlite,json1', '-ldflags', '-s -w'];
    // SQLite is compiled from its C source: without optimization that takes half the time.
    run('go', [...build, '-o', folder, '.'], sourceOf('hydra'), { CGO_CFLAGS: '-O0' });
  });
  return join(folder, 'hydra');
}

/** Who logs in next, by the login application. */
export const SUBJECT = 'alice';

export async function startHydra(t: Test): Promise<Hydra> {
  const hydra = program();
  const [publicPort, adminPort] = [await freePort(), await freePort()];
  const [url, adminUrl] = [`http://127.0.0.1:${publicPort}`, `http://127.0.0.1:${adminPort}`];
  const admin = adminOf(adminUrl);
  const application = await startLoginApplication(t, admin);
  const folder = temporaryFolder(t);
  const configuration = {
    dsn: 'memory',
    serve: {
      public: { host: '127.0.0.1', port: publicPort },
      admin: { host: '127.0.0.1', port: adminPort },
      tls: { enabled: false },
    },
    urls: {
      self: { issuer: url },
      login: `${application}/login`,
      consent: `${application}/consent`,
      logout: `${application}/logout`,
      post_logout_redirect: `${application}/bye`,
    },
    secrets: { system: [randomUUID()] },
    strategies: { access_token: 'jwt' },
    log: { level: 'warn' },
    sqa: { opt_out: true },
  };
  writeFileSync(join(folder, 'hydra.json'), JSON.stringify(configuration));
  await startServerProcess(t, [hydra, 'serve', 'all', '--dev', '-c', join(folder, 'hydra.json')], {
    cwd: folder,
    env: { GOMEMLIMIT: '512MiB' },
    readyUrl: `${adminUrl}/health/ready`,
  });
  return { url, adminUrl, admin };
}

function adminOf(url: string): Hydra['admin'] {
  return async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${url}/admin${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  };
}

interface ConsentRequest {
  readonly requested_scope: string[];
  readonly login_session_id: string;
}

/** Hydra knows no users: an application of its own logs them in, asks for consent, and confirms logouts. This one asks nothing. */
function startLoginApplication(t: Test, admin: Hydra['admin']): Promise<string> {
  const accept = async (kind: string, challenge: string, body?: object): Promise<string> => {
    const path = `/oauth2/auth/requests/${kind}/accept?${kind}_challenge=${challenge}`;
    return (await admin<{ redirect_to: string }>('PUT', path, body)).redirect_to;
  };
  const loginTimes = new Map<string, number>();
  /** The session stays where the server remembers the user and asks for no new login. */
  const loginTime = (session: string): number => {
    const time = loginTimes.get(session) ?? nowSeconds();
    loginTimes.set(session, time);
    return time;
  };
  const pages: Record<string, (challenge: string) => Promise<string>> = {
    login: (challenge) =>
      accept('login', challenge, { subject: SUBJECT, remember: true, remember_for: 3_600 }),
    consent: async (challenge) => {
      const path = `/oauth2/auth/requests/consent?consent_challenge=${challenge}`;
      const request = await admin<ConsentRequest>('GET', path);
      const sid = request.login_session_id;
      return accept('consent', challenge, {
        grant_scope: request.requested_scope,
        grant_access_token_audience: [API],
        // Hydra puts neither into access tokens by itself, and names only the session in its logout tokens.
        session: { access_token: { roles: ['manager'], sid, auth_time: loginTime(sid) } },
      });
    },
    logout: (challenge) => accept('logout', challenge),
  };
  const redirect = (response: ServerResponse, location: string): unknown =>
    response.writeHead(302, { location }).end();
  return startServer(t, (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://application');
    const kind = pathname.slice(1);
    const page = pages[kind];
    if (!page) response.end('bye');
    else
      page(searchParams.get(`${kind}_challenge`) ?? '').then(
        (location) => redirect(response, location),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
  });
}

export const API = 'orders-api';
