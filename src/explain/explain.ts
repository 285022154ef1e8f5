/**
 * A dry run: what would happen to a request, stage by stage, and why. The pipeline is the gateway's own; only what
 * stands around it differs, and what no network can tell without `online`.
 */
import { NOT_AT_HAND } from '../api-keys/api-key.ts';
import { assertionSigner } from '../assembly/assertion-signer.ts';
import { resourceEndpoint } from '../assembly/resource-documents.ts';
import { endpointPlaces } from '../assembly/server-endpoints.ts';
import { systemClock, type Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import { Gateway } from '../gateway.ts';
import { SILENT_OBSERVER } from '../assembly/issuer-observer.ts';
import { Issuers } from '../assembly/issuers.ts';
import { issuerIdentity } from '../assembly/jwt-issuers.ts';
import { compilePolicy } from '../assembly/compile-policy.ts';
import { Metrics } from '../telemetry/metrics.ts';
import {
  AuthorizationServerClient,
  type AuthorizationServerResponse,
} from '../token/authorization-server-client.ts';
import { stringClaim } from '../token/claims.ts';
import { isIssOf } from '../token/issuer-template.ts';
import { TokenCaches } from '../token/token-caches.ts';
import { VERSION } from '../version.ts';
import type { Explanation } from './explanation.ts';
import { revocationsFor } from './known-revocations.ts';
import { withTargets } from './describe-targets.ts';
import { jwtOf } from './describe-token.ts';
import { DryLimits } from './describe-limits.ts';
import { DryProofs } from './dry-proofs.ts';
import { unsignedTwin, type StandInToken } from './stand-in-token.ts';
import { DryRun, RecordingObserver, type ImaginedRequest } from './dry-run.ts';

export interface ExplainOptions {
  /** Ask for keys, about opaque tokens, and for the revocation list. */
  readonly online: boolean;
  /** Wall-clock time in milliseconds; undefined: now. */
  readonly nowMs: number | undefined;
}

/** Caches of the configured size would be the better part of the work. */
export const ONE_TOKEN = {
  tokens: { entries: 1, bytes: 1024 * 1024 },
  negatives: { entries: 1 },
  introspection: { entries: 1, bytes: 1024 * 1024 },
} as const;

/** Never connects. */
class OfflineClient extends AuthorizationServerClient {
  override async send(): Promise<AuthorizationServerResponse> {
    throw new Error('not asked: this is a dry run');
  }

  override through(): AuthorizationServerClient {
    return this;
  }
}

/** @throws ConfigurationError where key files or other parts of the configuration cannot be used */
export async function explain(
  loaded: LoadedConfiguration,
  request: ImaginedRequest,
  { online, nowMs }: ExplainOptions,
): Promise<Explanation> {
  const { configuration } = loaded;
  const clock: Clock = nowMs === undefined ? systemClock : { ...systemClock, nowMs: () => nowMs };
  const policy = compilePolicy(configuration);
  const twin = online || request.token === undefined ? undefined : twinFor(loaded, request.token);
  const client = online ? new AuthorizationServerClient() : new OfflineClient();
  const issuers = imaginedIssuers(loaded, client, clock, online ? undefined : (twin?.jwks ?? { keys: [] }));
  const proofs = DryProofs.of(configuration, { clock, token: request.token });
  const limits = new DryLimits(undefined);
  const revocations = await revocationsFor(loaded, clock, online, issuers.statusLists);
  try {
    await issuers.start();
    const observer = new RecordingObserver(new Metrics(VERSION), clock, undefined);
    const shared = { policy, proofs, observer, clock };
    const gateway = new Gateway({
      ...shared,
      verifiers: issuers.verifiersOf(policy),
      revocations: revocations.view,
      statuses: revocations.statuses.view,
      limiters: limits.limiters,
      signer: assertionSigner(loaded, clock),
      // No dice: where chance decides, the explanation has the shares.
      random: () => 0,
    });
    const resources = resourceEndpoint(configuration, undefined, clock);
    const parts = {
      ...shared,
      loaded,
      gateway,
      endpoints: endpointPlaces(issuers, configuration),
      resources,
      revocations,
      limits,
      online,
      twin,
    };
    const run = new DryRun(parts);
    return await withTargets(await run.explain(request), configuration, online);
  } finally {
    issuers.stop();
    await Promise.all([client.close(), revocations.close()]);
  }
}

/** @param keys instead of those behind a URL; undefined: those are fetched */
function imaginedIssuers(
  loaded: LoadedConfiguration,
  client: AuthorizationServerClient,
  clock: Clock,
  keys: StandInToken['jwks'] | undefined,
): Issuers {
  return new Issuers(loaded, {
    client,
    caches: new TokenCaches(ONE_TOKEN),
    clock,
    fileClock: systemClock,
    observer: SILENT_OBSERVER,
    oneLook: true,
    storedKeys: () => NOT_AT_HAND,
    ...(keys && { fetchKeys: async () => keys }),
  });
}

/** Only for issuers whose keys are behind a URL: where the keys are at hand, the signature is checked. */
function twinFor({ configuration }: LoadedConfiguration, token: string): StandInToken | undefined {
  const issuer = stringClaim(jwtOf(token)?.claims ?? {}, 'iss');
  const remote = Object.entries(configuration.issuers).some(
    ([name, candidate]) =>
      isIssOf(issuerIdentity(name, candidate), issuer) &&
      (candidate.jwks_url !== undefined || candidate.discovery === true),
  );
  return remote ? unsignedTwin(token) : undefined;
}
