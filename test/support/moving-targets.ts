/** A gateway with a target whose name has addresses that a test moves, and a clock and a DNS server that it rules. */
import { isDeepStrictEqual } from 'node:util';
import type { Test } from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { send } from './client.ts';
import { startDnsServer, type DnsServer, type Records } from './dns-server.ts';
import { startGateway, until, withTestPorts, type TestGateway } from './gateway.ts';
import { ManualClock } from './manual-clock.ts';
import { startMembers, type Members } from './members.ts';

/** A route for all paths, without authentication. */
export const OPEN = { name: 'open', match: { path_prefix: '/' }, upstream: 'u', auth: { mode: 'none' } };

export interface Scene {
  readonly dns: DnsServer;
  readonly members: Members;
  readonly clock: ManualClock;
  readonly gateway: TestGateway;
  readonly configuration: (more?: Record<string, unknown>) => Record<string, unknown>;
  /** Which servers respond to this many requests, one after the other. */
  readonly hits: (count: number) => Promise<Record<string, number>>;
  /** The records are these now, and the gateway has seen it. */
  readonly become: (records: Records) => Promise<void>;
}

export interface SceneOptions {
  readonly scheme?: string;
  readonly upstream?: Record<string, unknown>;
  readonly records?: (addresses: readonly string[]) => Records;
  readonly notReady?: boolean;
}

export async function startMovingTargets(
  t: Test,
  addresses: readonly string[],
  options: SceneOptions = {},
): Promise<Scene> {
  const { scheme = 'http', upstream = {}, records, notReady = false } = options;
  const members = await startMembers(t, addresses, { isHttp2: scheme === 'h2c' });
  const dns = await startDnsServer(t, { 'orders.test': records?.(addresses) ?? { a: addresses } });
  const clock = new ManualClock();
  const configuration = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
    dns: { servers: [dns.address] },
    routes: [OPEN],
    upstreams: { u: { targets: [`${scheme}://orders.test:${members.port}`], ...upstream, ...more } },
  });
  const gateway = await startGateway(t, configuration(), { clock, notReady });
  const hits = async (count: number): Promise<Record<string, number>> => {
    const found: Record<string, number> = {};
    for (let index = 0; index < count; index++) {
      const { status, body } = await send(gateway.url, '/');
      const key = status === 200 ? body : String(status);
      found[key] = (found[key] ?? 0) + 1;
    }
    return found;
  };
  const become = async (next: Records): Promise<void> => {
    dns.records.set('orders.test', next);
    await nextResolution(gateway, clock);
  };
  return { dns, members, clock, gateway, configuration, hits, become };
}

/**
 * Which servers respond to this many requests, once they do as is expected, or after twenty tries. On a busy machine a
 * connection to an address that was never reached may take so long that the request goes to another one.
 */
export async function steady(
  hits: Scene['hits'],
  count: number,
  expected: Readonly<Record<string, number>>,
): Promise<Record<string, number>> {
  let found = await hits(count);
  for (let tries = 1; tries < 20 && !isDeepStrictEqual(found, expected); tries++) found = await hits(count);
  return found;
}

const RESOLUTIONS = /^sallyport_upstream_resolutions_total\{.*\} (\d+)$/gm;

/** Attempts to resolve, whatever their result. */
export async function resolutions({ adminUrl }: TestGateway): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return [...text.matchAll(RESOLUTIONS)].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** The TTL of the records passes, and the gateway has asked again. */
export async function nextResolution(gateway: TestGateway, clock: ManualClock): Promise<void> {
  const before = await resolutions(gateway);
  clock.advance(5_000);
  await until(async () => (await resolutions(gateway)) > before);
}

export interface StatusMember {
  readonly address: string;
  readonly healthy: boolean;
  readonly state: string;
  readonly since: string;
  readonly priority: number;
}
export interface StatusTarget {
  readonly url: string;
  readonly healthy: boolean;
  readonly resolves: boolean;
  readonly resolution_error: string | null;
  readonly addresses_left_out: number;
  readonly members: readonly StatusMember[];
}

export async function targetOf(gateway: TestGateway): Promise<StatusTarget> {
  const status = (await (await gateway.admin('GET', '/v1/status')).json()) as {
    upstreams: readonly { targets: readonly StatusTarget[] }[];
  };
  return status.upstreams[0]?.targets[0] as StatusTarget;
}

export function reloaded(configuration: Record<string, unknown>) {
  const text = JSON.stringify(withTestPorts({ realm: 'test', ...configuration }));
  return {
    configuration: parseConfiguration(text, 'test.json', '/tmp', {}),
    folder: '/tmp',
    file: 'test.json',
  };
}

export async function listening(port: () => number | undefined): Promise<number> {
  let found: number | undefined;
  await until(() => {
    try {
      found = port();
    } catch {
      return false;
    }
    return found !== undefined;
  });
  return found ?? 0;
}
