/** What the reader of a how-to has before the first command: a running gateway, an issuer, a store and a service. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { withReplacements } from '../../support/document.ts';
import { json } from '../../support/fallible-authorization-server.ts';
import { freePort, startRedis, type TestRedis } from '../../support/redis.ts';
import { openTerminal, type Terminal } from '../../support/terminal.ts';
import { claimsOf, createKey, ISSUER, mint, type SigningKey } from '../../support/tokens.ts';
import { startServer, startUpstream, type HttpUpstream } from '../../support/upstream.ts';

/** Why the tests that need a terminal are skipped; false if all is there. */
export const noTerminal: string | false = (() => {
  const lacking = ['bash', 'curl', 'openssl', 'redis-cli'].filter(
    (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
  );
  return lacking.length > 0 && `${lacking.join(', ')} must be installed for this test`;
})();

export interface Issuer {
  readonly url: string;
  /** What its key set has. */
  keys: SigningKey[];
}

/** An issuer with discovery, and a key set that the test changes. */
export async function startIssuer(t: Test): Promise<Issuer> {
  const url = await startServer(t, (request, response) => {
    if (request.url === '/jwks') json(response, 200, { keys: issuer.keys.map(({ jwk }) => jwk) });
    else json(response, 200, { issuer: url, jwks_uri: `${url}/jwks` });
  });
  const issuer: Issuer = { url, keys: [createKey('ES256', 'first')] };
  return issuer;
}

export interface Reader {
  readonly terminal: Terminal;
  readonly issuer: Issuer;
  readonly redis: TestRedis;
  /** The servers behind 3000, 3001 and 3002. */
  readonly upstreams: readonly HttpUpstream[];
  /** The port that the test has in the place of one of the page. */
  readonly portOf: (written: string) => string;
  /** An access token of the issuer. */
  token(claims?: Record<string, unknown>, key?: SigningKey): string;
  /** Writes a file into the folder of the reader. */
  write(name: string, text: string): void;
  /** Starts the gateway, as job %1, with what stands in sallyport.yaml. */
  start(): Promise<void>;
}

/** @param more further ports that the page writes, and what the test has in their place */
export async function sitDown(
  t: Test,
  configuration: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Reader> {
  const [issuer, redis] = [await startIssuer(t), await startRedis(t)];
  const upstreams = [await startUpstream(t), await startUpstream(t), await startUpstream(t)];
  const ports: Record<string, string> = {
    '8080': String(await freePort()),
    '9090': String(await freePort()),
    '6379': String(redis.port),
    ...more,
    ...Object.fromEntries(upstreams.map(({ url }, index) => [String(3000 + index), new URL(url).port])),
  };
  const replacements = { ...ports, [ISSUER]: issuer.url };
  const terminal = openTerminal(t, replacements);
  const write = (name: string, text: string): void =>
    writeFileSync(join(terminal.home, 'work', name), withReplacements(text, replacements), { mode: 0o600 });
  write('sallyport.yaml', configuration);
  write('admin-token', 'the-admin-token-of-these-tests-is-long\n');
  return {
    terminal,
    issuer,
    redis,
    upstreams,
    portOf: (written) => ports[written] ?? '',
    token: (claims = {}, key = issuer.keys[0] ?? createKey()) =>
      mint(key, claimsOf({ iss: issuer.url, ...claims })),
    write,
    async start() {
      const ready = `http://127.0.0.1:${ports['9090']}/readyz`;
      await terminal.run(
        `sallyport run > gateway.log 2>&1 &\nfor try in $(seq 300); do curl -sf ${ready} > /dev/null && break; sleep 0.1; done; curl -sf ${ready} || { cat gateway.log; false; }`,
      );
    },
  };
}
