/** What each stage of a dry run saw and decided, in words. */
import { identityValueText, routeIdentityMap } from '../config/identity-map.ts';
import { hasKeyPrefix } from '../api-keys/key-text.ts';
import { INVALID_AUTHORIZATION } from '../auth-errors.ts';
import { accessText, matchText } from '../config/describe-route.ts';
import { isOpaqueIssuer } from '../config/issuer-schema.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import { HEADERS_TOO_LARGE, type AuthReason, type GatewayError } from '../errors.ts';
import { failingChecks } from './failing-checks.ts';
import { dateText } from './format-date.ts';
import { causeOf, causeText } from '../revocation/cause.ts';
import type { RevocationEntry } from '../revocation/revocation-store.ts';
import { idOfKey } from '../revocation/revocation-target.ts';
import type { Exchange, StageName } from '../telemetry/exchange.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { JwtText } from '../token/lexical-gate.ts';
import { unpresentableText } from '../token/token-text.ts';
import { choiceOf, type Choice } from './describe-choice.ts';
import { limitsText, type ExplainedLimit } from './describe-limits.ts';
import { notPermittedText, permittedText } from './describe-permission.ts';
import type { KnownRevocations } from './known-revocations.ts';
import { notPossessedText, possessedText, type ShownPossession } from './describe-possession.ts';
import { jwtOf, refusedText, verifiedText } from './describe-token.ts';

export interface Seen {
  readonly loaded: LoadedConfiguration;
  readonly exchange: Exchange;
  readonly token: string | undefined;
  readonly outbound: OutboundRequest | undefined;
  /** The signature could not be checked, and was taken for good. */
  readonly assumed: boolean;
  readonly revocations: KnownRevocations;
  /** What may have revoked the token. */
  readonly entries: readonly RevocationEntry[];
  readonly possession: ShownPossession;
  readonly limits: readonly ExplainedLimit[];
  readonly nowMs: number;
}

function presentedText(presented = '', jwt: JwtText | undefined): string {
  if (hasKeyPrefix(presented)) return 'an API key';
  return `${jwt ? 'a JWT' : 'an opaque token'} of ${presented.length} bytes`;
}

export class StageWords {
  readonly #seen: Seen;
  readonly #jwt: JwtText | undefined;

  constructor(seen: Seen) {
    this.#seen = seen;
    this.#jwt = seen.token === undefined ? undefined : jwtOf(seen.token);
  }

  /** Of a stage that the request has passed. */
  passed(stage: StageName): string {
    const {
      loaded,
      exchange,
      token: presented,
      outbound,
      assumed,
      revocations,
      possession,
      limits,
      nowMs,
    } = this.#seen;
    const { head, route, token } = exchange;
    switch (stage) {
      case 'read_head':
        return `${head?.method} ${head?.path}, Host ${head?.authority}, from ${exchange.clientIp}`;
      case 'match_route':
        return this.#routeText();
      case 'limit_address':
      case 'limit_caller':
        return limitsText(limits.filter(({ by }) => (by === 'ip') === (stage === 'limit_address')));
      case 'extract_token':
        if (route?.mode === 'none') return 'the route asks for none';
        if (!token && presented === undefined) return 'there is none: anonymous';
        return presentedText(presented, this.#jwt);
      case 'verify_token':
        if (!token) return 'there is nothing to verify';
        return `${assumed ? 'SIGNATURE NOT CHECKED (--online fetches the keys); ' : ''}${verifiedText(token, this.#jwt, nowMs)}`;
      case 'check_possession':
        return token ? possessedText(token, possession) : 'there is nothing to possess';
      case 'check_revocation':
        return token
          ? `${revocations.asked ? 'not revoked; ' : ''}${revocations.text}${this.#statusText()}`
          : 'there is nothing to revoke';
      case 'authorize':
        return token ? permittedText(route, token, nowMs) : 'no permission is needed here';
      case 'choose_upstream': {
        const choice = this.#choice();
        return choice ? `${choice.name}, ${choice.text}${this.#elsewhereText()}` : '';
      }
      case 'sign_assertion':
        return loaded.configuration.identity.assertion && token
          ? `an assertion for ${this.#choice()?.name} is signed`
          : 'no assertion is made';
      case 'rewrite_headers':
        return outbound
          ? `${outbound.method} ${outbound.target} goes to ${this.#choice()?.name}; ${this.#identityText(outbound)}`
          : '';
    }
  }

  #routeText(): string {
    const { configuration } = this.#seen.loaded;
    const route = configuration.routes.find(({ name }) => name === this.#seen.exchange.route?.name);
    return route ? `${route.name}: ${matchText(route)}; ${accessText(route, configuration)}` : '';
  }

  #choice(): Choice | undefined {
    const { exchange, outbound } = this.#seen;
    const { route, head, upstream, decision } = exchange;
    if (!route || !head || upstream === undefined) return undefined;
    const token = outbound ? outbound.token : decision?.decision === 'report' ? undefined : exchange.token;
    return choiceOf(route, token, head.path, upstream);
  }

  /** A list is for listeners that forward. */
  #elsewhereText(): string {
    const { loaded, exchange } = this.#seen;
    const decides = loaded.configuration.listeners.some(({ serve }) => serve === 'decisions');
    return decides && typeof exchange.route?.upstream === 'object'
      ? '; where a listener serves decisions, the proxy that asks chooses'
      : '';
  }

  /** The file of a token may hold more than the token: nothing in the refusal says so. */
  #notPresentedText({ title }: GatewayError, route: Exchange['route']): string {
    const { token } = this.#seen;
    const fault = token === undefined ? undefined : unpresentableText(token, route?.mayHaveBars === true);
    return fault === undefined ? title : `${title} Here ${fault}`;
  }

  /** Of the stage that has refused the request. */
  refused(stage: StageName, error: GatewayError): string {
    const { loaded, exchange, nowMs, revocations, possession } = this.#seen;
    const { token, route, head } = exchange;
    const { reason, limit } = error;
    if (limit !== undefined)
      return `${this.passed(stage)}; ${limit} refuses, for ${error.retryAfterSeconds} s`;
    if (stage === 'verify_token' && reason) {
      const issuer = loaded.configuration.issuers[exchange.issuerName ?? error.issuer ?? ''];
      const text = refusedText(reason, this.#jwt, issuer, nowMs, route?.resource);
      const detail = error.detail === undefined ? '' : `: ${error.detail}`;
      return `${text}${detail}${reason === 'unknown_issuer' ? this.#acceptedText() : this.#alsoText(reason, issuer)}`;
    }
    if (error === INVALID_AUTHORIZATION) return this.#notPresentedText(error, route);
    if (stage === 'check_possession') return notPossessedText(error, token, route, possession);
    if (stage === 'extract_token' && possession.hasProof && route?.senderConstrained === undefined)
      return `${error.title} The route accepts no DPoP proofs (auth.sender_constrained is not set), so the scheme DPoP is none of its own`;
    if (stage === 'check_revocation') {
      if (reason === 'revoked') return this.#revokedText();
      if (reason === 'status') return `${error.detail}${this.#statusText()}`;
      return reason === 'status_unavailable' ? this.#statusText().slice(2) : revocations.text;
    }
    if (stage === 'authorize' && token && route)
      return notPermittedText(route, token, head?.path ?? '', nowMs) ?? error.title;
    if (error === HEADERS_TOO_LARGE) return `${error.title} ${this.#headerLimitsText()}`;
    return error.detail ?? error.title;
  }

  /** Which limits a request with a long token meets. */
  #headerLimitsText(): string {
    const { header_bytes, header_count } = this.#seen.loaded.configuration.limits;
    const bytes = this.#seen.token?.length ?? 0;
    return `limits.header_bytes is ${header_bytes}, limits.header_count ${header_count}; the token has ${bytes} bytes`;
  }

  /** Which issuers the route accepts instead. */
  #acceptedText(): string {
    const { loaded, exchange } = this.#seen;
    const names = exchange.route?.issuers ?? [];
    const texts = names.map((name) => {
      const { issuer, no_iss, api_keys } = loaded.configuration.issuers[name] ?? {};
      if (api_keys) return `${name} (API keys)`;
      return `${name} (${issuer ?? (no_iss === true ? 'tokens without iss' : 'opaque tokens')})`;
    });
    return `; the route accepts ${texts.join(', ')}`;
  }

  /** What else of the token would be refused, once this were right. */
  #alsoText(first: AuthReason, issuer: IssuerConfiguration | undefined): string {
    const { nowMs, exchange } = this.#seen;
    const jwt = this.#jwt;
    if (!jwt || !issuer || isOpaqueIssuer(issuer)) return '';
    const resource = exchange.route?.resource;
    const others = failingChecks(jwt, issuer, nowMs, resource).filter((reason) => reason !== first);
    const texts = others.map(
      (reason) => `; also ${reason}: ${refusedText(reason, jwt, issuer, nowMs, resource)}`,
    );
    return texts.join('');
  }

  /** The map of the route, as it is once the defaults are merged in, and what of it the client tried to write itself. */
  #identityText({ route, strippedIdentity }: OutboundRequest): string {
    const { configuration } = this.#seen.loaded;
    const configured = configuration.routes.find(({ name }) => name === route.name);
    const map = Object.entries(route.mode === 'none' ? {} : routeIdentityMap(configuration, configured));
    const set = map.map(([name, value]) => `${name} from ${identityValueText(value)}`).join(', ');
    const removed =
      strippedIdentity === 0 ? '' : `; removed from the client's own headers: ${strippedIdentity}`;
    return `identity headers: ${set === '' ? 'none' : set}${removed}`;
  }

  /** What the list of the issuer says of the token, behind another text. */
  #statusText(): string {
    const { exchange, revocations } = this.#seen;
    const text = exchange.token ? revocations.statuses.textFor(exchange.token) : '';
    return text === '' ? '' : `; ${text}`;
  }

  #revokedText(): string {
    const { entries, nowMs, exchange } = this.#seen;
    const ofActors = new Set(exchange.token?.revocable.actorKeys.map(idOfKey));
    const texts = entries.map((entry) => {
      const { id, target, issuedBefore } = entry;
      const through = target !== undefined && ofActors.has(id) ? `through ${target.value} in act: ` : '';
      const until = issuedBefore === null ? '' : `; issued up to ${dateText(issuedBefore, nowMs)}`;
      return `${through}${causeText(causeOf(entry), nowMs)} (entry ${id}${until})`;
    });
    return `refused: ${texts.length === 0 ? 'it is revoked; the store does not say why' : texts.join('; ')}`;
  }
}
