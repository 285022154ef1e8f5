/**
 * The dry run of a gateway that runs: its policy, its keys, its view of the revocation list. Caches and metrics are others, so
 * that the look leaves no trace; no log line is written. What no key can tell, the authorization server is asked about, as for
 * a request. Rule A5.
 */
import type { Instance } from '../assembly/instance.ts';
import { endpointPlaces } from '../assembly/server-endpoints.ts';
import { Gateway } from '../gateway.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { TokenCaches } from '../token/token-caches.ts';
import { VERSION } from '../version.ts';
import { DryRun, RecordingObserver } from './dry-run.ts';
import { DryLimits } from './describe-limits.ts';
import { DryProofs } from './dry-proofs.ts';
import { ONE_TOKEN } from './explain.ts';
import type { Explanation } from './explanation.ts';
import { revocationsOf } from './known-revocations.ts';
import { onTheWire, requestPlace } from './request-place.ts';

/** A request that an operator asks about. */
export interface AskedRequest {
  readonly method: string;
  readonly url: string;
  /** Undefined: it has none. */
  readonly token: string | undefined;
  /** Its DPoP proof. */
  readonly dpop: string | undefined;
  /** Where it comes from; undefined: this host. */
  readonly peer: string | undefined;
}

/** From here on the admin API of this gateway explains requests. */
export function offerExplanations(instance: Instance): void {
  instance.admin.update({ explain: (request) => explainRunning(instance, request) });
}

/** Undefined where the URL is none of a request. */
async function explainRunning(
  instance: Instance,
  { method, url, token, dpop, peer = '127.0.0.1' }: AskedRequest,
): Promise<Explanation | undefined> {
  const place = requestPlace(url);
  if (place === undefined) return undefined;
  const { scheme, authority, target } = place;
  const { loaded, policy, issuers, signer, resources, limiters, lasting } = instance.generation;
  const { view, store, clock } = lasting;
  const observer = new RecordingObserver(new Metrics(VERSION), clock, undefined);
  const proofs = DryProofs.of(loaded.configuration, { clock, token });
  const limits = new DryLimits(limiters);
  const revocations = revocationsOf(view, store, issuers.statusLists);
  const gateway = new Gateway({
    policy,
    verifiers: issuers.verifiersApart(policy, new TokenCaches(ONE_TOKEN)),
    proofs,
    revocations: revocations.view,
    statuses: revocations.statuses.view,
    limiters: limits.limiters,
    signer,
    observer,
    clock,
    random: () => 0,
  });
  const run = new DryRun({
    loaded,
    policy,
    gateway,
    endpoints: endpointPlaces(issuers, loaded.configuration),
    resources,
    observer,
    revocations,
    limits,
    clock,
    online: true,
    twin: undefined,
    proofs,
  });
  const headers = ['Host', onTheWire(authority)];
  return run.explain({ method, scheme, target, headers, token, dpop, peer });
}
