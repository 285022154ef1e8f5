/** Gateways with limits, and requests that come one after the other. */
import type { Test } from 'tap';
import { send, type SendOptions } from './client.ts';
import { loginIssuer, startGateway, type GatewayOptions, type TestGateway } from './gateway.ts';
import { ManualClock } from './manual-clock.ts';
import { claimsOf, createKey, mint } from './tokens.ts';
import { startUpstream } from './upstream.ts';

export const key = createKey('ES256');
const partnerKey = createKey('ES256');
export const tokenOf = (changes: Record<string, unknown> = {}): string => mint(key, claimsOf(changes));
/** Of another issuer. */
export const partnerToken = (): string => mint(partnerKey, claimsOf({ iss: 'https://partner.example.com' }));

export type Limit = Record<string, unknown>;

/** Two requests an hour. */
export const two = (by: unknown, more: Limit = {}): Limit => ({ name: 'two', by, rate: '2/1h', ...more });

/** Limits of an hour: the time that a test takes gives nothing back. Of the routes `a` and `b`, not of `free`. */
export async function startLimited(
  t: Test,
  limits: readonly Limit[],
  more: Record<string, unknown> = {},
  route: Record<string, unknown> = {},
  options: GatewayOptions = {},
): Promise<TestGateway> {
  const upstream = await startUpstream(t);
  const shared = { upstream: 'u', rate_limits: limits, ...route };
  return startGateway(
    t,
    {
      issuers: {
        login: { ...loginIssuer(key), claim_names: { tenant: 'tenant' } },
        partner: { ...loginIssuer(partnerKey), issuer: 'https://partner.example.com' },
      },
      routes: [
        { name: 'a', match: { path_prefix: '/a' }, ...shared },
        { name: 'b', match: { path_prefix: '/b' }, ...shared },
        { name: 'free', match: { path_prefix: '/free' }, upstream: 'u' },
      ],
      upstreams: { u: { targets: [upstream.url] } },
      ...more,
    },
    { clock: new ManualClock(), ...options },
  );
}

/** The statuses of requests that come one after the other. */
export async function statusesOf(
  { url }: Pick<TestGateway, 'url'>,
  ...requests: readonly (readonly [path: string, options: SendOptions])[]
): Promise<number[]> {
  const statuses: number[] = [];
  for (const [path, options] of requests) statuses.push((await send(url, path, options)).status);
  return statuses;
}
