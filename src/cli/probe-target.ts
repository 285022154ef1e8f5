/** `check --online`: does the name of a target resolve, and does each address take connections and pass its health check? */
import { systemClock } from '../clock.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import type { TargetUrl } from '../http/target-url.ts';
import { describeError } from '../telemetry/logger.ts';
import type { TlsClient } from '../tls/client-options.ts';
import { askHealth } from '../upstream/ask-health.ts';
import type { HealthCheckPolicy } from '../upstream/health-check.ts';
import { Http2Link } from '../upstream/http2-link.ts';
import { openLink } from '../upstream/open-link.ts';
import type { Endpoint } from '../upstream/open-socket.ts';
import { addressText } from '../upstream/running-target.ts';
import { isAddress, ServerFinder } from '../upstream/server-finder.ts';
import type { Probed } from './probe.ts';

/** What the configuration says of a target's connections and checks. */
interface TargetOptions {
  readonly tls: TlsClient;
  readonly health: HealthCheckPolicy | undefined;
}

const CONNECT_TIMEOUT_MS = 3_000;

/** How many addresses are named; the rest is counted. */
const NAMED = 8;

/** It fails where no address would get requests, and warns where some would get none. */
export async function probeTarget(
  what: string,
  url: TargetUrl,
  options: TargetOptions,
  resolver: NameResolver,
): Promise<Probed> {
  try {
    if (isAddress(url)) return { what, ok: true, detail: await probeServer(url, options) };
    return { what, ...(await probeName(url, options, resolver)) };
  } catch (error) {
    return { what, ok: false, detail: describeError(error) };
  }
}

async function probeName(
  url: TargetUrl,
  options: TargetOptions,
  resolver: NameResolver,
): Promise<Omit<Probed, 'what'>> {
  const { servers, leftOut } = await new ServerFinder(url, resolver).find();
  const results = await Promise.allSettled(
    servers.map(({ address, port }) =>
      probeServer({ ...url, address, ...(port !== undefined && { port }) }, options),
    ),
  );
  const texts = servers.map(({ address, port }) => addressText(address, port) ?? '');
  const failed = results.flatMap((result, index) =>
    result.status === 'rejected' ? [`${texts[index]}: ${describeError(result.reason)}`] : [],
  );
  if (failed.length === servers.length) return { ok: false, detail: listed(failed) };
  const risks = [
    ...(failed.length > 0 ? [`would get no requests: ${listed(failed)}`] : []),
    ...(leftOut > 0 ? [`${leftOut} addresses beyond the first ${servers.length} are not used`] : []),
  ];
  const passed = new Set(results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])));
  const count = servers.length === 1 ? 'one address' : `${servers.length} addresses`;
  return {
    ok: true,
    detail: `${[...passed].join('; or ')}; ${count}: ${listed(texts)}`,
    ...(risks.length > 0 && { warning: risks.join('; ') }),
  };
}

function listed(texts: readonly string[]): string {
  const rest = texts.length - NAMED;
  return `${texts.slice(0, NAMED).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** @throws if the server would get no requests */
async function probeServer(server: TargetUrl & Endpoint, { tls, health }: TargetOptions): Promise<string> {
  const reached = await connectTo(server, tls);
  return health ? `${reached}, health check: ${await healthOf(server, tls, health)}` : reached;
}

/** A connection in the protocol of the target: TCP, TLS, the SETTINGS of HTTP/2. */
async function connectTo(server: TargetUrl & Endpoint, tls: TlsClient): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const attempt = openLink(server, tls, {
    connected: (link) => resolve(link instanceof Http2Link ? 'reached, HTTP/2' : 'reached'),
    closed: (error) => reject(error ?? new Error('the connection was closed')),
  });
  const cancel = systemClock.after(CONNECT_TIMEOUT_MS, () =>
    attempt.close(new Error('no connection in time')),
  );
  try {
    return await promise;
  } finally {
    cancel();
    attempt.close(new Error('the check is over'));
  }
}

/** @throws if the server would fail its health checks */
async function healthOf(
  server: TargetUrl & Endpoint,
  tls: TlsClient,
  { question, timeoutMs }: HealthCheckPolicy,
): Promise<string> {
  const { passes, says } = await askHealth(question, server, tls, timeoutMs, systemClock).finding;
  if (!passes) throw new Error(`it fails its health check: ${says}`);
  return says;
}
