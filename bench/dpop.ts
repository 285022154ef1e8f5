/**
 * `node bench/dpop.ts`: what a proof of possession (DPoP, RFC 9449) costs. CPU of the gateway for a request with a known token and a
 * new ES256 proof, beside a request with an ES256 token that was never seen, and one with a known token. The gateways are on core 0
 * and take turns, load and upstream are on core 1. Prints medians, and each as a multiple of the request with a new token.
 *
 *   node bench/dpop.ts --quick          3 short rounds
 */
import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync, hash, randomUUID, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nginxUpstream, startOn } from './contestants.ts';
import { measure, writeTokenScript, type Tokens } from './measure.ts';
import { freePort, listening } from './ports.ts';

const [GATEWAY_CORE, LOAD_CORE] = [0, 1];
const { values } = parseArgs({ options: { quick: { type: 'boolean' } } });
const [ROUNDS, SECONDS, WARM_UP_SECONDS] = values.quick === true ? [3, 4, 6] : [7, 8, 10];
/** More than one gateway can take in a round: a proof that is sent twice is refused, which measure() takes for a failure. */
const PROOFS_A_SECOND = 12_000;
/** More than are in flight at a time: a cache of one entry no longer holds a token when it comes again. */
const NEW_TOKENS = 500;
const ISSUER = 'https://login.example.com';
const API = 'https://api.example.com';

interface Key {
  readonly jwk: Record<string, unknown>;
  readonly privateKey: KeyObject;
}

function createKey(): Key {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { jwk: publicKey.export({ format: 'jwk' }), privateKey };
}

function jwtOf(header: object, claims: object, { privateKey }: Key): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const content = `${encode(header)}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return `${content}.${signature.toString('base64url')}`;
}

const [issuer, holder] = [createKey(), createKey()];
const { crv, kty, x, y } = holder.jwk;
const jwk = { crv, kty, x, y };
const thumbprint = hash('sha256', JSON.stringify(jwk), 'base64url');
const now = Math.floor(Date.now() / 1000);

function createToken(more: object = {}): string {
  const claims = {
    ...{ iss: ISSUER, sub: 'user-4711', aud: API, exp: now + 7_200, iat: now, jti: randomUUID() },
    ...{
      scope: 'orders:read orders:write',
      client_id: 'web-shop',
      tenant: 'acme',
      roles: ['buyer', 'admin'],
    },
    ...more,
  };
  return jwtOf({ alg: 'ES256', typ: 'at+jwt', kid: 'bench' }, claims, issuer);
}

/** A wrk script that sends a proof of its own with each request. */
function writeProofScript(file: string, token: string, count: number): Tokens {
  const ath = hash('sha256', token, 'base64url');
  const proofs = Array.from({ length: count }, () => {
    const claims = {
      jti: randomUUID(),
      htm: 'GET',
      htu: `${API}/orders`,
      iat: Math.floor(Date.now() / 1000),
      ath,
    };
    return jwtOf({ typ: 'dpop+jwt', alg: 'ES256', jwk }, claims, holder);
  });
  writeFileSync(`${file}.txt`, `${proofs.join('\n')}\n`);
  writeFileSync(
    file,
    `local proofs = io.lines("${file}.txt")
wrk.headers["Authorization"] = "DPoP ${token}"
function request()
  wrk.headers["DPoP"] = proofs()
  return wrk.format()
end
`,
  );
  return { script: file };
}

function configurationOf(port: number, upstreamPort: number, more: object): object {
  return {
    realm: 'bench',
    access_log: false,
    listeners: [{ host: '127.0.0.1', port, public_url: API }],
    admin: { port: 0 },
    issuers: { bench: { issuer: ISSUER, jwks_file: 'jwks.json', audiences: [API] } },
    // The proofs of a round are made before it, and one key makes them all.
    dpop: { max_age: '10m', remembered: { entries: 10_000_000, per_key: 10_000_000 } },
    routes: [
      {
        name: 'orders',
        match: { path_prefix: '/' },
        upstream: 'orders',
        auth: { scopes: ['orders:read'], sender_constrained: 'optional' },
      },
    ],
    upstreams: { orders: { targets: [`http://127.0.0.1:${upstreamPort}`] } },
    ...more,
  };
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
const processes: ChildProcess[] = [];
try {
  writeFileSync(
    join(folder, 'jwks.json'),
    JSON.stringify({ keys: [{ ...issuer.jwk, kid: 'bench', alg: 'ES256' }] }),
  );
  const upstreamPort = await freePort();
  processes.push(startOn(LOAD_CORE, nginxUpstream(folder, upstreamPort)));
  await listening(upstreamPort);

  const bound = createToken({ cnf: { jkt: thumbprint } });
  const known: Tokens = { token: createToken() };
  const many = writeTokenScript(
    join(folder, 'tokens.lua'),
    Array.from({ length: NEW_TOKENS }, () => createToken()),
  );
  const cases: readonly (readonly [name: string, more: object, load: (seconds: number) => Tokens])[] = [
    ['a new token', { caches: { tokens: { entries: 1 } } }, () => many],
    [
      'dpop: a known token, a new proof',
      {},
      (seconds) => writeProofScript(join(folder, 'proofs.lua'), bound, seconds * PROOFS_A_SECOND),
    ],
    ['a known token', {}, () => known],
  ];
  const rows: { name: string; cpu: number[]; run: (seconds: number) => Promise<void> }[] = [];
  for (const [index, [name, more, load]] of cases.entries()) {
    const port = await freePort();
    const file = join(folder, `${index}.json`);
    writeFileSync(file, JSON.stringify(configurationOf(port, upstreamPort, more)));
    const main = new URL('../src/main.ts', import.meta.url).pathname;
    const started = startOn(GATEWAY_CORE, [process.execPath, main, 'run', '-c', file]);
    processes.push(started);
    await listening(port);
    const cpu: number[] = [];
    const run = async (seconds: number): Promise<void> => {
      const { cpuMicrosPerRequest } = await measure(
        started.pid ?? 0,
        port,
        load(seconds),
        seconds,
        LOAD_CORE,
      );
      cpu.push(cpuMicrosPerRequest);
    };
    rows.push({ name, cpu, run });
  }
  for (const { run, cpu } of rows) {
    await run(WARM_UP_SECONDS);
    cpu.length = 0;
  }
  for (let round = 0; round < ROUNDS; round++) for (const { run } of rows) await run(SECONDS);

  const base = median(rows[0]?.cpu ?? []);
  console.log(
    `ES256; CPU of the gateway; median of ${ROUNDS} rounds of ${SECONDS} s; Node ${process.versions.node}\n`,
  );
  for (const { name, cpu } of rows)
    console.log(
      `${name.padEnd(34)} ${median(cpu).toFixed(1).padStart(6)} µs  ${(median(cpu) / base).toFixed(2)}   (${Math.min(...cpu).toFixed(1)} to ${Math.max(...cpu).toFixed(1)})`,
    );
} finally {
  await Promise.all(
    processes.map(async (child) => {
      if (child.exitCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }),
  );
  rmSync(folder, { recursive: true, force: true });
}
