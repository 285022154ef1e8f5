/**
 * gRPC for Python (grpcio) and grpc-js, as clients and as servers, through the gateway over TLS and over h2c. Every response
 * carries the bytes of its own call. Rules G2, G3, H15.
 *
 * GRPC_CALLS: calls of each test; 600 by default.
 */
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { key, startGrpcServer } from '../support/grpc.ts';
import { temporaryFolder } from '../support/process.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { mint } from '../support/tokens.ts';
import { callFromPython, python, startPythonServer, type PythonOutcome } from './grpcio/peers.ts';
import { notInstalled } from './support/installed.ts';
import { missing } from './support/toolchain.ts';

const CALLS = Number(process.env['GRPC_CALLS'] ?? 600);
const KINDS = 10;
/** Between two faults. */
const PAUSE_MS = 150;
/** Connections of the upstreams live this long, with faults. */
const MAX_AGE_MS = 400;

interface Scene {
  readonly gateway: TestGateway;
  /** Calls from Python, half of them over TLS and half over h2c. */
  readonly calls: (seed: number, ...without: string[]) => Promise<PythonOutcome>;
}

async function startScene(t: Test, ...ports: readonly number[]): Promise<Scene> {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1');
  const at = { host: '127.0.0.1', port: 0 };
  const gateway = await startGateway(
    t,
    {
      listeners: [
        { ...at, protocols: ['h2c', 'http/1.1'] },
        { ...at, tls: { cert_file: 'server.crt', key_file: 'server.key' } },
      ],
      issuers: { login: loginIssuer(key) },
      timeouts: { drain: '100ms' },
      routes: [{ name: 'all', match: {}, upstream: 'u' }],
      upstreams: { u: { targets: ports.map((port) => `h2c://127.0.0.1:${port}`) } },
    },
    { folder },
  );
  const [h2c, tls] = gateway.instance.listeners.map(({ address }) => `127.0.0.1:${address.port}`);
  const targets = [
    { address: h2c ?? '', ca: null },
    { address: tls ?? '', ca: authority.ca },
  ];
  const token = mint(key);
  return {
    gateway,
    calls: (seed, ...without) => callFromPython({ targets, token, calls: CALLS, workers: 12, seed, without }),
  };
}

const portOf = (target: string): number => Number(new URL(target.replace('h2c:', 'http:')).port);

function newSeed(t: Test): number {
  const seed = Date.now() % 1_000_000;
  t.comment(`seed ${seed}`);
  return seed;
}

const skip = noOpenssl || missing('Python') || notInstalled('grpcio', python);
t.test('grpcio', { skip }, async (t) => {
  for (const name of ['grpcio', 'grpc-js']) {
    t.test(`every call of grpcio to a server of ${name} gets its own response`, async (t) => {
      const seed = newSeed(t);
      const port = name === 'grpcio' ? (await startPythonServer(t)).port : portOf(await startGrpcServer(t));
      const { calls, gateway } = await startScene(t, port);
      const outcome = await calls(seed);
      t.strictSame(outcome.wrong, []);
      t.strictSame(outcome.failures, {}, 'without faults none fails');
      t.equal(Object.keys(outcome.kinds).length, KINDS);
      t.equal(sum(outcome.kinds), CALLS);
      t.equal(await gateway.metric('sallyport_requests_in_flight'), 0);
    });
  }

  const faults: [name: string, kinds: readonly Fault[], harmless: boolean][] = [
    ['G3 with GOAWAY and reloads hardly a call fails, and none gets another response', ['reload'], true],
    [
      'G2 G3 H15 with resets, GOAWAY, restarts and reloads a call may fail, but gets no other response',
      ['reset', 'reset', 'reload', 'reload', 'restart'],
      false,
    ],
  ];
  for (const [name, kinds, harmless] of faults) {
    t.test(name, async (t) => {
      const seed = newSeed(t);
      const { calls, gateway, disturb } = await startDisturbed(t, seed, kinds, harmless);
      let over = false;
      const disturbing = disturb(() => over);
      // A body beyond what is kept of it cannot be sent again, even where the peer has not looked at it.
      const outcome = await (harmless ? calls(seed, 'call_large') : calls(seed));
      over = true;
      const counts = await disturbing;
      t.comment(JSON.stringify({ ...counts, ...outcome.kinds, ...outcome.failures }));
      t.strictSame(outcome.wrong, []);
      if (harmless) t.ok(sum(outcome.failures) * 50 <= CALLS, 'a call may meet two connections that end');
      t.equal(sum(outcome.kinds), CALLS);
      t.ok(
        kinds.every((kind) => counts[kind] > 0),
        'there were faults',
      );
      t.equal(await gateway.metric('sallyport_requests_in_flight'), 0);
    });
  }
});

type Fault = 'reset' | 'reload' | 'restart';

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** Two servers whose connections end all the time, each behind a proxy that resets them. */
async function startDisturbed(t: Test, seed: number, kinds: readonly Fault[], harmless: boolean) {
  const random = new SeededRandom(seed);
  const server = await startPythonServer(t, MAX_AGE_MS);
  // The server of grpc-js ends a connection without a last word on which calls it has not looked at.
  const other = harmless
    ? (await startPythonServer(t, MAX_AGE_MS)).port
    : portOf(await startGrpcServer(t, [], [], { 'grpc.max_connection_age_ms': MAX_AGE_MS }));
  const proxies = [await startTcpProxy(t, server.port), await startTcpProxy(t, other)];
  const scene = await startScene(t, ...proxies.map(({ port }) => port));
  const { gateway } = scene;
  const faults: Record<Fault, () => unknown> = {
    reset: () => random.of(proxies).heal(),
    reload: () => gateway.instance.reload(gateway.loaded),
    restart: () => server.restart(),
  };
  const disturb = async (isOver: () => boolean): Promise<Record<Fault, number>> => {
    const counts = { reset: 0, reload: 0, restart: 0 };
    while (!isOver()) {
      const fault = random.of(kinds);
      await faults[fault]();
      counts[fault]++;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    return counts;
  };
  return { ...scene, disturb };
}
