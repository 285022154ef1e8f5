/** One imagined request, led through the gateway's own pipeline, and what each stage did with it. */
import { type Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import { BAD_PATH, GatewayError, MALFORMED_REQUEST, NO_ROUTE } from '../errors.ts';
import type { Gateway, RequestContext } from '../gateway.ts';
import { clientAddress, normalAddress } from '../http/client-address.ts';
import { forwardedForChain } from '../http/forwarded-headers.ts';
import { corsHeaders } from '../http/cors.ts';
import { fieldPairs } from '../http/field-list.ts';
import { headerAlias } from '../http/header-names.ts';
import { plainChallenge, usedScheme } from '../http/challenge.ts';
import { problemResponse } from '../http/problem.ts';
import { readHead, type RawHead, type RequestHead } from '../http/request-head.ts';
import { essentialHeaders } from '../server/http1-request.ts';
import { isWebSocketHandshake } from '../http/websocket-protocol.ts';
import { asksForKeys } from '../handlers/keys-endpoint.ts';
import type { ResourceEndpoint } from '../handlers/resource-endpoint.ts';
import { hasMetadataReading } from '../http/metadata-url.ts';
import { isAt, type EndpointPlace } from '../handlers/server-endpoint.ts';
import { orThrow } from '../maybe-promise.ts';
import { type Policy } from '../policy.ts';
import type { Exchange, StageName } from '../telemetry/exchange.ts';
import { Observer } from '../telemetry/observer.ts';
import { RouteTable } from '../stages/match-route.ts';
import type { ClientEnd, OutboundRequest } from '../stages/rewrite-headers.ts';
import { newRequestId } from '../telemetry/trace-context.ts';
import { choiceOf } from './describe-choice.ts';
import type { DryLimits, ExplainedLimit } from './describe-limits.ts';
import type { DryProofs } from './dry-proofs.ts';
import {
  decided,
  endpointExplanation,
  keysExplanation,
  KEYS_PATH_TEXT,
  metadataExplanation,
  METADATA_PATH_TEXT,
  preflightExplanation,
  STAGES,
  stagesOf,
  type ExplainedStage,
  type Explanation,
} from './explanation.ts';
import { imaginedCertificate, imaginedPublicUrl, parserTakes } from './imagined-client.ts';
import { nearestRoutes, badPathText } from './nearest-routes.ts';
import { type KnownRevocations } from './known-revocations.ts';
import { StageWords, type Seen } from './describe-stage.ts';
import { type StandInToken } from './stand-in-token.ts';

/** A request that was never sent. */
export interface ImaginedRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** Path and query, as they would stand in the request line. */
  readonly target: string;
  /** Names and values in turn, Host among them, Authorization not. */
  readonly headers: readonly string[];
  readonly token: string | undefined;
  /** The value of its DPoP header: with it the token is sent by the scheme DPoP. */
  readonly dpop?: string | undefined;
  /** base64url SHA-256 of the certificate (DER) that the client has shown to the listener. */
  readonly certificateThumbprint?: string | undefined;
  /** The address that it comes from. */
  readonly peer: string;
}

/** Listens to the pipeline. */
export class RecordingObserver extends Observer {
  report: { readonly stage: StageName; readonly error: GatewayError } | undefined;

  override reported(exchange: Exchange, error: GatewayError): void {
    this.report = { stage: exchange.stage, error };
    super.reported(exchange, error);
  }
}

/** What the client has shown, and what it was told beside the response. */
interface Shown {
  certificate: string | null | undefined;
  nonce: string | undefined;
}

/** What a dry run is made of. */
export interface DryRunParts {
  readonly loaded: LoadedConfiguration;
  readonly policy: Policy;
  readonly gateway: Gateway;
  readonly endpoints: readonly EndpointPlace[];
  readonly resources: ResourceEndpoint | undefined;
  readonly observer: RecordingObserver;
  readonly revocations: KnownRevocations;
  readonly clock: Clock;
  readonly limits: DryLimits;
  readonly online: boolean;
  readonly twin: StandInToken | undefined;
  /** Undefined where no route accepts proofs. */
  readonly proofs: DryProofs | undefined;
}

export class DryRun {
  readonly #parts: DryRunParts;
  readonly #routes: RouteTable;

  constructor(parts: DryRunParts) {
    this.#parts = parts;
    this.#routes = new RouteTable(parts.policy.routes);
  }

  async explain(request: ImaginedRequest): Promise<Explanation> {
    const { loaded, gateway, observer, endpoints, resources } = this.#parts;
    const peer = normalAddress(request.peer);
    const connection: ClientEnd = { peer, peerIsTrusted: this.#parts.policy.trustedPeers.has(peer) };
    const exchange = observer.begin(request.method, peer, newRequestId());
    const shown: Shown = { certificate: undefined, nonce: undefined };
    let outbound: OutboundRequest | undefined;
    let error: GatewayError | undefined;
    try {
      const head = this.#readHead(request, exchange, connection);
      const endpoint = endpoints.find((place) => isAt(place, head));
      if (endpoint) {
        if (request.method !== 'POST') throw endpoint.notPosted;
        return endpointExplanation(exchange, endpoint);
      }
      if (asksForKeys(loaded.configuration.identity.assertion?.publish, head))
        return keysExplanation(exchange);
      const metadata = resources?.asked(head);
      if (metadata !== undefined) return metadataExplanation(exchange, metadata);
      const certificate = imaginedCertificate(loaded, head, peer, request.certificateThumbprint);
      shown.certificate = certificate;
      const { clientIp, requestId, trace } = exchange;
      const context: RequestContext = {
        connection,
        clientIp,
        requestId,
        trace,
        matched: () => undefined,
        publicUrl: imaginedPublicUrl(loaded, head),
        clientCertificate: () => certificate,
        hasUnclearCertificate: () => certificate === null,
        offerNonce: (nonce) => (shown.nonce = nonce),
      };
      const preflight = gateway.preflight(head, context, exchange);
      if (preflight) return preflightExplanation(exchange, preflight);
      outbound = orThrow(await gateway.decide(head, context, exchange));
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown;
      error = thrown;
      observer.failed(exchange, error);
    }
    return this.#explanation(request, exchange, outbound, error, shown);
  }

  #readHead(request: ImaginedRequest, exchange: Exchange, client: ClientEnd): RequestHead {
    const { headerTable, headLimits, trustedPeers } = this.#parts.policy;
    const token = this.#parts.twin?.token ?? request.token;
    const { dpop } = request;
    const scheme = dpop === undefined ? 'Bearer' : 'DPoP';
    const credentials = [
      ...(token === undefined ? [] : ['Authorization', `${scheme} ${token}`]),
      ...(dpop === undefined ? [] : ['DPoP', dpop]),
    ];
    const raw: RawHead = {
      method: request.method,
      target: request.target,
      httpVersion: '1.1',
      rawHeaders: [...request.headers, ...credentials],
      scheme: request.scheme,
      bodyFollows: false,
      wantsTunnel: false,
    };
    if (!parserTakes(raw)) throw MALFORMED_REQUEST;
    const wantsTunnel = isWebSocketHandshake({ ...raw, headers: essentialHeaders(raw.rawHeaders) });
    const head = readHead({ ...raw, wantsTunnel }, headerTable, headLimits);
    exchange.head = head;
    if (head.requestId !== undefined) exchange.requestId = head.requestId;
    this.#parts.observer.headRead(exchange, head);
    if (client.peerIsTrusted)
      exchange.clientIp = clientAddress(client.peer, forwardedForChain(head), trustedPeers);
    return head;
  }

  async #explanation(
    { token, dpop }: ImaginedRequest,
    exchange: Exchange,
    outbound: OutboundRequest | undefined,
    error: GatewayError | undefined,
    { certificate, nonce }: Shown,
  ): Promise<Explanation> {
    const { policy, observer, revocations, online, twin } = this.#parts;
    const { route, head, decision } = exchange;
    const report = observer.report;
    // What cannot be asked in a dry run is no outage.
    const untold = !online && (error ?? report?.error)?.reason === 'introspection_unavailable';
    const assumed = twin !== undefined;
    const entries =
      decision?.reason === 'revoked' && exchange.token ? await revocations.entriesFor(exchange.token) : [];
    const limits = this.#limits(exchange, outbound);
    const words = this.#words({ token, dpop }, exchange, outbound, { entries, certificate, limits });
    const stages = stagesOf(route).map((stage): ExplainedStage => {
      const failed = stage === report?.stage ? report.error : stage === exchange.stage ? error : undefined;
      if (failed) {
        const outcome = untold ? 'unknown' : failed === error ? 'refused' : 'reported';
        return { stage, outcome, detail: this.#refusalText(words, stage, failed, head) };
      }
      const index = STAGES.indexOf(stage);
      const reached = index <= STAGES.indexOf(exchange.stage);
      const skipped = report && index > STAGES.indexOf(report.stage) && index <= STAGES.indexOf('authorize');
      if (!reached || skipped === true) return { stage, outcome: 'not_reached', detail: '' };
      const outcome = stage === 'verify_token' && assumed && exchange.token ? 'assumed' : 'passed';
      return { stage, outcome, detail: words.passed(stage) };
    });
    return {
      decision: untold ? 'unknown' : decided(decision, error),
      reason: untold || error?.limit !== undefined ? null : (decision?.reason ?? null),
      status: untold || !error ? null : error.status,
      code: untold || !error ? null : error.code,
      route: route?.name ?? null,
      issuer: exchange.issuerName ?? null,
      stages,
      limits,
      nearest_routes: head && error === NO_ROUTE ? nearestRoutes(policy.routes, head) : [],
      answer: untold || !error ? null : this.#response(error, exchange, nonce),
      upstream: outbound && !untold ? this.#upstream(outbound) : null,
    };
  }

  #limits(exchange: Exchange, outbound: OutboundRequest | undefined): readonly ExplainedLimit[] {
    const { route, stage, token } = exchange;
    const isCounted = STAGES.indexOf(stage) >= STAGES.indexOf('limit_caller');
    return route ? this.#parts.limits.explained(route, outbound ? outbound.token : token, isCounted) : [];
  }

  #words(
    { token, dpop }: Pick<ImaginedRequest, 'token' | 'dpop'>,
    exchange: Exchange,
    outbound: OutboundRequest | undefined,
    { entries, certificate, limits }: Pick<Seen, 'entries' | 'limits'> & Pick<Shown, 'certificate'>,
  ): StageWords {
    const { loaded, revocations, clock, twin, proofs } = this.#parts;
    return new StageWords({
      loaded,
      exchange,
      token,
      outbound,
      assumed: twin !== undefined,
      revocations,
      entries,
      limits,
      possession: { dpop: loaded.configuration.dpop, proofs, hasProof: dpop !== undefined, certificate },
      nowMs: clock.nowMs(),
    });
  }

  #refusalText(
    words: StageWords,
    stage: StageName,
    error: GatewayError,
    head: RequestHead | undefined,
  ): string {
    if (error !== BAD_PATH || !head) return words.refused(stage, error);
    if (stage === 'match_route') return badPathText(this.#routes, head);
    return this.#parts.resources && hasMetadataReading(head.path) ? METADATA_PATH_TEXT : KEYS_PATH_TEXT;
  }

  #response(error: GatewayError, exchange: Exchange, nonce: string | undefined): Explanation['answer'] {
    const { route, head, requestId } = exchange;
    const { headers, body } = problemResponse(error, {
      challenge: route?.challenge ?? plainChallenge(this.#parts.policy.realm),
      scheme: usedScheme(head?.authorization ?? []),
      requestId,
    });
    const cors = route?.cors && head ? corsHeaders(route.cors, head) : [];
    return {
      headers: fieldPairs([...headers, ...(nonce === undefined ? [] : ['dpop-nonce', nonce]), ...cors]),
      body,
    };
  }

  /** A header that is a key for its holder is not printed. */
  #upstream(outbound: OutboundRequest): Explanation['upstream'] {
    const { route, token, head, upstream, method, target, host, headers } = outbound;
    const { name, by, shares } = choiceOf(route, token, head.path, upstream);
    const { assertion } = this.#parts.loaded.configuration.identity;
    const secret = new Set(['authorization', ...(assertion ? [headerAlias(assertion.header)] : [])]);
    return {
      name,
      chosen_by: by,
      shares,
      method,
      target,
      host: host ?? null,
      headers: fieldPairs(headers).map(([name, value]) => [
        name,
        secret.has(name.toLowerCase()) ? '(not shown)' : value,
      ]),
    };
  }
}
