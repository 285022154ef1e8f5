/**
 * Verifies the security event tokens of one transmitter: RFC 8417 section 2, OpenID SSF 1.0 section 4.1. Rules J0, J3 to J5, J11.
 *
 * Their explicit type tells them from all other tokens, which the same keys may sign: neither passes as the other
 * (token/token-kind.ts). No token is too old: one that was held back must end what it would have ended.
 */
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { SignatureAlgorithm } from '../token/algorithms.ts';
import { isJsonObject, numberOf, stringClaim, type JsonObject } from '../token/claims.ts';
import { IssuerSignature } from '../token/issuer-signature.ts';
import { audienceOf } from '../token/jwt-verifier.ts';
import type { KeySet } from '../token/key-set.ts';
import { readJwt, type JwtText } from '../token/lexical-gate.ts';
import { eventName } from './signal-events.ts';
import { SignalRefused, type SignalEvent } from './signal-verdict.ts';

export interface TransmitterPolicy {
  /** The configured name. */
  readonly name: string;
  /** The exact `iss`. */
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly algorithms: readonly SignatureAlgorithm[];
  readonly clockSkewSeconds: number;
}

/** What a verified token says. Dates are in seconds. */
export interface SecurityEventToken {
  readonly jti: string;
  readonly issuedAt: number;
  /** `toe` */
  readonly timeOfEvent: number | undefined;
  /** One at least. */
  readonly events: readonly SignalEvent[];
}

/** SSF 1.0 allows several only as other names of one event. */
const MAX_EVENTS = 16;

export class SecurityEventTokenVerifier {
  readonly #policy: TransmitterPolicy;
  readonly #signature: IssuerSignature;
  readonly #clock: Clock;

  constructor(policy: TransmitterPolicy, keys: KeySet, clock: Clock) {
    this.#policy = policy;
    this.#signature = new IssuerSignature({ ...policy, issuerName: policy.name }, keys);
    this.#clock = clock;
  }

  /**
   * @param from the address that it came from: few of one address may wait for a key (rule K0)
   * @throws SignalRefused with the code for the transmitter; GatewayError 503 `keys_unavailable`
   */
  async verify(set: string, from: string): Promise<SecurityEventToken> {
    const jwt = readSet(set);
    if (!isSetType(jwt.header['typ'])) throw NOT_A_SET;
    // Before any key: what others have made must cause no fetch.
    if (jwt.claims['iss'] !== this.#policy.issuer) throw OTHER_ISSUER;
    await this.#checkSignature(jwt, from);
    const audience = audienceOf(jwt.claims['aud']) ?? [];
    if (!this.#policy.audiences.some((ours) => audience.includes(ours))) throw OTHER_AUDIENCE;
    const jti = stringClaim(jwt.claims, 'jti');
    if (jti === undefined || jti === '') throw NO_TOKEN_ID;
    return { jti, ...this.#datesOf(jwt.claims), events: eventsOf(jwt.claims) };
  }

  async #checkSignature(jwt: JwtText, from: string): Promise<void> {
    try {
      await this.#signature.findSigningKey(jwt, { clientIp: from });
    } catch (error) {
      if (!(error instanceof GatewayError) || error.status !== 401) throw error;
      throw error.reason === 'unknown_key' ? UNKNOWN_KEY : BAD_SIGNATURE;
    }
  }

  #datesOf(claims: JsonObject): Pick<SecurityEventToken, 'issuedAt' | 'timeOfEvent'> {
    const nowSeconds = this.#clock.nowMs() / 1000;
    const { clockSkewSeconds } = this.#policy;
    const issuedAt = numberOf(claims['iat']);
    if (issuedAt === undefined || issuedAt < 0) throw NO_DATE;
    if (issuedAt > nowSeconds + clockSkewSeconds) throw FROM_THE_FUTURE;
    const { exp } = claims;
    // SSF transmitters send none (section 4.1.7). One that is there counts, as in any JWT.
    if (exp !== undefined && nowSeconds >= (numberOf(exp) ?? -Infinity) + clockSkewSeconds) throw EXPIRED;
    return { issuedAt, timeOfEvent: numberOf(claims['toe']) };
  }
}

function eventsOf(claims: JsonObject): readonly SignalEvent[] {
  const { events, sub_id: subject } = claims;
  const entries = isJsonObject(events) ? Object.entries(events) : [];
  if (entries.length === 0 || entries.length > MAX_EVENTS) throw NO_EVENTS;
  return entries.map(([uri, payload]) => {
    if (!isJsonObject(payload)) throw NO_EVENTS;
    // Drafts before SSF 1.0 have no sub_id, and the subject in the event.
    return { name: eventName(uri), payload, subject: subject ?? payload['subject'] };
  });
}

function readSet(set: string): JwtText {
  try {
    const jwt = readJwt(set);
    if (jwt !== undefined) return jwt;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
  }
  throw NOT_A_SET;
}

/** RFC 8417 section 2.3; a type may be written in full (RFC 7515 section 4.1.9). */
function isSetType(typ: unknown): boolean {
  return typeof typ === 'string' && /^(?:application\/)?secevent\+jwt$/i.test(typ);
}

const NOT_A_SET = new SignalRefused(
  'invalid_request',
  'This is no security event token: a signed JWT with typ secevent+jwt.',
);
const OTHER_ISSUER = new SignalRefused('invalid_issuer', 'iss is not the issuer that is expected here.');
const OTHER_AUDIENCE = new SignalRefused('invalid_audience', 'aud does not contain this receiver.');
const UNKNOWN_KEY = new SignalRefused('invalid_key', 'The key that signed the token is not in the key set.');
const BAD_SIGNATURE = new SignalRefused(
  'invalid_key',
  'No key and algorithm that are accepted here have made the signature.',
);
const NO_TOKEN_ID = new SignalRefused('invalid_request', 'jti is missing, or is no text.');
const NO_DATE = new SignalRefused('invalid_request', 'iat is missing, or is no date.');
const FROM_THE_FUTURE = new SignalRefused('invalid_request', 'iat is in the future.');
const EXPIRED = new SignalRefused('invalid_request', 'exp is in the past, or is no date.');
const NO_EVENTS = new SignalRefused(
  'invalid_request',
  'events must be an object with 1 to 16 members, each an object.',
);
