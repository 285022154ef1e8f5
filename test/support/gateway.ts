/** A whole gateway in the test's process, on its own ports. */
import { tmpdir } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import type { Test } from 'tap';
import { Instance } from '../../src/assembly/instance.ts';
import type { Place } from '../../src/assembly/place.ts';
import { systemClock, type Clock } from '../../src/clock.ts';
import { offerExplanations } from '../../src/explain/explain-running.ts';
import { parseConfiguration, type LoadedConfiguration } from '../../src/config/load.ts';
import { createLog, type Log } from '../../src/telemetry/logger.ts';
import { passingTracing, type Tracing } from '../../src/telemetry/trace-context.ts';
import type { ManualClock } from './manual-clock.ts';
import { AUDIENCE, ISSUER, type SigningKey } from './tokens.ts';

export const ADMIN_TOKEN = 'admin-token-of-the-tests';

export interface TestGateway {
  readonly url: string;
  readonly port: number;
  readonly adminUrl: string;
  readonly instance: Instance;
  /** The configuration that it started with. */
  readonly loaded: LoadedConfiguration;
  /** Its log lines, parsed. */
  readonly log: Record<string, unknown>[];
  /** A metric's value from /metrics; 0 if the series does not exist. */
  metric(series: string): Promise<number>;
  admin(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  readonly clock?: Clock;
  readonly folder?: string;
  /** Return before the gateway is ready. */
  readonly notReady?: boolean;
  readonly tracing?: Tracing;
  /** Default: alone in its process. */
  readonly place?: (loaded: LoadedConfiguration, clock: Clock) => Place;
}

/** A JWT, an API key, or the admin token. */
const TOKEN_TEXT = new RegExp(`eyJ[\\w-]{8,}\\.[\\w-]{8,}|sp_live_\\w{8,}|${ADMIN_TOKEN}`);

/** The issuer `login` with these keys, as configuration. */
export function loginIssuer(...keys: readonly SigningKey[]): Record<string, unknown> {
  return { issuer: ISSUER, jwks: { keys: keys.map(({ jwk }) => jwk) }, audiences: [AUDIENCE] };
}

/** A configuration on free ports of loopback, with the admin token of the tests and a line for every request. */
export function withTestPorts(configuration: Record<string, unknown>): Record<string, unknown> {
  return {
    listeners: [{ host: '127.0.0.1', port: 0 }],
    log: { refusals: 0 },
    ...configuration,
    admin: { port: 0, token: ADMIN_TOKEN, ...(configuration['admin'] as object | undefined) },
  };
}

/** Room enough for a test. What the caches have by default takes 13 ms to make, for each gateway and each reload. */
const SMALL_CACHES = {
  tokens: { entries: 1_000 },
  negatives: { entries: 1_000 },
  introspection: { entries: 1_000 },
};

/** Starts a gateway. The configuration gets test ports, an admin token, small caches, and no access to the environment. */
export async function startGateway(
  t: Test,
  configuration: Record<string, unknown>,
  {
    clock = systemClock,
    folder = tmpdir(),
    notReady = false,
    tracing = passingTracing,
    place,
  }: GatewayOptions = {},
): Promise<TestGateway> {
  const text = JSON.stringify(withTestPorts({ realm: 'test', caches: SMALL_CACHES, ...configuration }));
  const file = `${folder}/test.json`;
  const loaded = { configuration: parseConfiguration(text, file, folder, {}), folder, file };
  const log: Record<string, unknown>[] = [];
  const instance = new Instance(loaded, logInto(log), clock, tracing, place?.(loaded, clock));
  offerExplanations(instance);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= instance.stop());
  t.teardown(async () => {
    // Rule A5, for the whole test run.
    const text = JSON.stringify(log) + (await instance.metrics.text()).body;
    if (TOKEN_TEXT.test(text)) throw new Error('A5: the text of a token is in the log or in the metrics');
  });
  t.teardown(stop);
  await instance.start();
  if (!notReady) await instance.ready();
  const port = instance.listeners[0]?.address.port ?? 0;
  const adminUrl = `http://127.0.0.1:${instance.admin.address.port}`;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    adminUrl,
    instance,
    loaded,
    log,
    stop,
    metric: (series) => readMetric(adminUrl, series),
    admin: (method, path, body, headers) => callAdmin(adminUrl, method, path, body, headers),
  };
}

function logInto(log: Record<string, unknown>[]): Log {
  return createLog({
    write(line, kind) {
      const parsed = JSON.parse(line) as Record<string, unknown>;
      log.push(parsed);
      // For the whole test run.
      if ((parsed['msg'] === 'audit') !== (kind === 'audit')) throw new Error('an audit line may be dropped');
    },
  });
}

async function readMetric(adminUrl: string, series: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

function callAdmin(
  adminUrl: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${adminUrl}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${ADMIN_TOKEN}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
}

/** Between two checks of a condition: what tests wait for needs the processor too, and many a check reads all metrics. */
const FIRST_CHECK_MS = 3;
const LONGEST_MS = 25;
const GROWTH = 1.25;

/** Resolves when the condition holds. What takes long is looked at less often. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitMs = FIRST_CHECK_MS; !(await condition()); waitMs = Math.min(LONGEST_MS, waitMs * GROWTH)) {
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, waitMs);
    await promise;
  }
}

/** Requests of this many round trips: what was sent before them has come, and was looked at, at the machine's own pace. */
const ROUND_TRIPS = 20;

/** Resolves when a gateway has had the time for what it was sent before: counted in round trips, not in milliseconds. */
export async function handled({ adminUrl }: Pick<TestGateway, 'adminUrl'>): Promise<void> {
  for (let trip = 0; trip < ROUND_TRIPS; trip++) await (await fetch(`${adminUrl}/livez`)).arrayBuffer();
}

/** Resolves when the count has not moved for a while, which is counted in round trips as well. */
export async function standsStill(gateway: TestGateway, count: () => number): Promise<void> {
  for (let last = -1; last !== count();) {
    last = count();
    await handled(gateway);
  }
}

/** Longer than the time between two beats of the store in memory, shorter than an age that `advance` waits for. */
const BEAT_MS = 600;

/**
 * Time passes; the revocation list, which ages with it, is fresh again before the test goes on. The last beat comes by
 * itself, so that the store in memory says again that its list is whole.
 */
export async function advance(gateway: TestGateway, clock: ManualClock, ms: number): Promise<void> {
  const lastMs = Math.min(ms, BEAT_MS);
  if (ms > lastMs) {
    clock.advance(ms - lastMs);
    await turn();
  }
  clock.advance(lastMs);
  await until(() => gateway.instance.view.ageMs < 1_000);
}
