/**
 * What a DPoP proof says, beside what it would have to say: every check of RFC 9449 section 4.3 that fails by what the proof says
 * of itself. The checker decides; this is for people. A proof is attackers' text: as JSON, and not without end. Pure.
 */
import type { Configuration } from '../config/schema.ts';
import { normalisedHtu } from '../http/request-url.ts';
import type { ProvenRequest } from '../stages/check-possession.ts';
import { isJsonObject, numberOf, stringClaim, type JsonObject, type JsonValue } from '../token/claims.ts';
import { keyThumbprint } from '../token/key-thumbprint.ts';
import { presentedDigest } from '../token/token-digest.ts';
import { jwtOf, textOf } from './describe-token.ts';
import { durationText } from '../clock.ts';
import { dateText } from './format-date.ts';

/** What a proof is held against. */
export interface ProofTerms {
  readonly request: ProvenRequest;
  readonly dpop: Configuration['dpop'];
  /** The nonce that clients get now; undefined where that of the proof was not the reason. */
  readonly nonce: string | undefined;
  readonly nowMs: number;
}

/** In the order in which the checker looks. Empty where only its signature, or its form, can be wrong. */
export function proofFaults(proof: string, terms: ProofTerms): string[] {
  const jwt = jwtOf(proof);
  if (!jwt) return ['it is no well-formed JWT'];
  return [
    ...headerFaults(jwt.header, terms),
    ...claimFaults(jwt.claims, terms),
    ...dateFaults(jwt.claims, terms),
    ...nonceFaults(jwt.claims, terms),
  ];
}

function headerFaults(header: JsonObject, { request, dpop }: ProofTerms): string[] {
  const { typ, alg, jwk } = header;
  const thumbprint = isJsonObject(jwk) ? keyThumbprint(jwk) : undefined;
  const isType = typeof typ === 'string' && /^(?:application\/)?dpop\+jwt$/i.test(typ);
  const isAccepted = dpop.algorithms.some((name) => name === alg);
  return [
    ...(isType ? [] : [`${saidText('typ', typ)}, and must be dpop+jwt`]),
    ...(isAccepted ? [] : [`${saidText('alg', alg)}; dpop.algorithms are ${dpop.algorithms.join(', ')}`]),
    ...(thumbprint === undefined
      ? ['it has no jwk that is a public key']
      : thumbprint === request.keyThumbprint
        ? []
        : [
            `its key has the thumbprint ${thumbprint}; the token is bound to the key with ${request.keyThumbprint}`,
          ]),
  ];
}

function claimFaults(claims: JsonObject, { request }: ProofTerms): string[] {
  const jti = stringClaim(claims, 'jti') ?? '';
  const htu = stringClaim(claims, 'htu');
  const url = normalisedHtu(request.url) ?? request.url;
  const ath = presentedDigest(request.accessToken);
  return [
    ...(jti !== '' && jti.length <= 256 ? [] : ['it has no jti of 1 to 256 characters']),
    ...(claims['htm'] === request.method
      ? []
      : [`${saidText('htm', claims['htm'])}; the method of the request is ${request.method}`]),
    ...(htu !== undefined && normalisedHtu(htu) === url
      ? []
      : [
          htu === undefined
            ? `it has no htu; the request is to ${url}`
            : `the proof is for ${textOf(htu)}, the request is to ${url}`,
        ]),
    ...(claims['ath'] === ath
      ? []
      : [`${saidText('ath', claims['ath'])}; the hash of the token is "${ath}", so it is for another token`]),
  ];
}

function dateFaults(claims: JsonObject, { dpop, nowMs }: ProofTerms): string[] {
  const now = nowMs / 1000;
  const [maxAge, future] = [dpop.max_age / 1000, dpop.future_iat / 1000];
  const window = `dpop.max_age is ${durationText(maxAge)}, dpop.future_iat ${durationText(future)}`;
  const iat = numberOf(claims['iat']);
  const [exp, nbf] = ['exp', 'nbf'].map((name) => numberOf(claims[name]));
  return [
    ...(iat === undefined
      ? [`${saidText('iat', claims['iat'])}, which is no date`]
      : iat < now - maxAge || iat > now + future
        ? [`it was made ${dateText(iat, nowMs)}; ${window} (--now sets another time)`]
        : []),
    ...(exp !== undefined && exp <= now ? [`it expired ${dateText(exp, nowMs)}`] : []),
    ...(nbf !== undefined && nbf > now + future ? [`its nbf is ${dateText(nbf, nowMs)}`] : []),
  ];
}

function nonceFaults(claims: JsonObject, { nonce }: ProofTerms): string[] {
  if (nonce === undefined || claims['nonce'] === nonce) return [];
  return [`${saidText('nonce', claims['nonce'])}; clients get the nonce "${nonce}" now`];
}

function saidText(name: string, value: JsonValue | undefined): string {
  return value === undefined ? `it has no ${name}` : `its ${name} is ${textOf(value)}`;
}
