/** Proofs, each sent to every gateway of a fleet at once, on a bounded number of connections. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import type { Test } from 'tap';
import { loginIssuer } from './gateway.ts';
import { proofKey } from './proofs.ts';
import { claimsOf, createKey, mint } from './tokens.ts';

const PUBLIC_URL = 'https://api.example.com';
/** To one gateway. */
const CONNECTIONS = 50;
/** Proofs of one key in its window, above any number of the tests. */
const PER_KEY = 1_000_000;

const key = createKey('ES256');
// The cheapest to sign: the tests sign as much as the gateways verify.
const holder = proofKey('EdDSA');
const token = mint(key, claimsOf({ cnf: { jkt: holder.thumbprint } }));

/** A gateway with a route for each policy, named after it. */
export function fleetConfiguration(upstream: string, store: string): Record<string, unknown> {
  return {
    realm: 'test',
    dpop: { remembered: { per_key: PER_KEY }, max_age: '10m' },
    issuers: { login: loginIssuer(key) },
    revocation: { store, max_view_age: '1h' },
    routes: ['deny', 'allow'].map((policy) => ({
      name: policy,
      match: { path_prefix: `/${policy}` },
      public_url: PUBLIC_URL,
      upstream: 'u',
      when_replay_unknown: policy,
      auth: { sender_constrained: 'required' },
    })),
    upstreams: { u: { targets: [upstream] } },
  };
}

export interface Senders {
  /** Makes a proof for this path. */
  readonly prove: (path: string) => string;
  /** Sends each proof to all gateways at once. Resolves with the statuses of each, in the order of the URLs. */
  readonly sendAll: (
    proofs: readonly string[],
    path: string,
    seen?: (statuses: readonly number[]) => void,
  ) => Promise<readonly (readonly number[])[]>;
}

export function sendersTo(t: Test, urls: readonly string[]): Senders {
  const agents = urls.map(() => new Agent({ keepAlive: true, maxSockets: CONNECTIONS }));
  t.teardown(() => agents.forEach((agent) => agent.destroy()));
  const ask = async (at: number, path: string, proof: string): Promise<number> => {
    const headers = { authorization: `DPoP ${token}`, dpop: proof };
    const sent = httpRequest(`${urls[at]}${path}`, { agent: agents[at], headers }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.statusCode ?? 0;
  };
  return {
    prove: (path) => holder.proof({ url: `${PUBLIC_URL}${path}`, token }),
    async sendAll(proofs, path, seen = () => undefined) {
      const statuses: (readonly number[])[] = [];
      let next = 0;
      const worker = async (): Promise<void> => {
        for (let index = next++; index < proofs.length; index = next++) {
          const proof = proofs[index] ?? '';
          const outcome = await Promise.all(urls.map((_, at) => ask(at, path, proof)));
          statuses[index] = outcome;
          seen(outcome);
        }
      };
      await Promise.all(Array.from({ length: CONNECTIONS }, worker));
      return statuses;
    },
  };
}

/** How many proofs had each outcome, such as `200 401`. */
export function countOf(outcomes: readonly (readonly number[])[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const statuses of outcomes) {
    const outcome = statuses.toSorted((a, b) => a - b).join(' ');
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}
