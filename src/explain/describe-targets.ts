/** The servers that a request may go to: the targets of its upstream, and their addresses where names may be resolved. */
import { upstreamOptions } from '../assembly/upstream-options.ts';
import { systemClock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import type { NameResolver } from '../dns/name-resolver.ts';
import { nameResolver } from '../dns/resolvers.ts';
import type { TargetUrl } from '../http/target-url.ts';
import { describeError } from '../telemetry/logger.ts';
import { addressText } from '../upstream/running-target.ts';
import { isAddress, ServerFinder } from '../upstream/server-finder.ts';
import type { Explanation } from './explanation.ts';

/** @returns the explanation, with the targets of its upstream, if it goes to one */
export async function withTargets(
  explanation: Explanation,
  configuration: Configuration,
  online: boolean,
): Promise<Explanation> {
  const { upstream } = explanation;
  if (!upstream) return explanation;
  const targets = await targetTexts(configuration, upstream.name, online);
  return { ...explanation, upstream: { ...upstream, targets } };
}

/** One text for each target. Without `online`, nothing is resolved. */
async function targetTexts(
  { upstreams, dns }: Configuration,
  upstreamName: string,
  online: boolean,
): Promise<string[]> {
  const upstream = upstreams[upstreamName];
  if (!upstream) return [];
  const resolver = nameResolver(dns.servers, systemClock);
  return Promise.all(
    upstreamOptions(upstream).targets.map(async ({ url }) => {
      if (isAddress(url)) return url.text;
      return online
        ? `${url.text}: ${await addressesText(url, resolver)}`
        : `${url.text}: each address of the name (--online shows them)`;
    }),
  );
}

async function addressesText(url: TargetUrl, resolver: NameResolver): Promise<string> {
  try {
    const { servers } = await new ServerFinder(url, resolver).find();
    return servers
      .map(({ address, port, priority }) => {
        const text = addressText(address, port) ?? address;
        return priority === 0 ? text : `${text} (if those before are down)`;
      })
      .join(', ');
  } catch (error) {
    return describeError(error);
  }
}
