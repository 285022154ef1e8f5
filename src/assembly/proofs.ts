/**
 * Checks proofs of possession as the configuration says: is the proof about this request, and is this its first use in the
 * fleet? Rules D1 to D14.
 */
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { invalidProof, PROOF_NEEDS_NONCE, TOO_MANY_PROOFS, unavailable } from '../auth-errors.ts';
import { normalisedHtu } from '../http/request-url.ts';
import { DPOP } from '../replay/used-proofs.ts';
import type { ReplayStore } from '../replay/replay-store.ts';
import type { AcceptedProof, Proofs, ProvenRequest } from '../stages/check-possession.ts';
import { ProofNonces } from '../token/dpop-nonce.ts';
import { ProofVerifier, type AcceptedProof as ValidProof } from '../token/dpop-proof.ts';
import { ProofAllowance } from '../token/proof-allowance.ts';
import { ProofRefused } from '../token/proof-refusal.ts';

/** How a proof was judged: the closed list that the metric uses. */
export const PROOF_RESULTS = [
  'accepted',
  'invalid',
  'nonce',
  'replayed',
  'too_many',
  'unknown',
  'passed_unknown',
] as const;
export type ProofResult = (typeof PROOF_RESULTS)[number];

export interface ProofParts {
  readonly replay: ReplayStore;
  readonly clock: Clock;
  readonly count: (result: ProofResult) => void;
}

const RETRY_AFTER_SECONDS = 1;
const REPLAYED = invalidProof('it was used before');
const NOT_ONE_LINE = invalidProof('the request has no DPoP header, or more than one');
const NO_URL = invalidProof('the URL of the request has no certain reading');

/** @returns undefined where no route accepts proofs */
export function proofsOf({ dpop, routes }: Configuration, parts: ProofParts): ProofChecker | undefined {
  const accepted = routes.some(({ auth }) => auth.mode !== 'none' && auth.sender_constrained !== undefined);
  return accepted ? new ProofChecker(dpop, parts) : undefined;
}

export class ProofChecker implements Proofs {
  readonly #verifier: ProofVerifier;
  readonly #nonces: ProofNonces | undefined;
  readonly #allowance: ProofAllowance;
  readonly #parts: ProofParts;
  readonly #rememberedMs: number;

  constructor(dpop: Configuration['dpop'], parts: ProofParts) {
    const { algorithms, max_age: maxAgeMs, future_iat: futureIatMs, nonces, remembered } = dpop;
    this.#nonces =
      nonces && new ProofNonces({ secret: Buffer.from(nonces.secret ?? ''), rotateMs: nonces.rotate });
    this.#verifier = new ProofVerifier({
      algorithms,
      maxAgeSeconds: maxAgeMs / 1000,
      futureIatSeconds: futureIatMs / 1000,
      nonces: this.#nonces,
    });
    this.#allowance = new ProofAllowance(
      { perKey: remembered.per_key, windowMs: maxAgeMs + futureIatMs },
      parts.clock,
    );
    this.#parts = parts;
    this.#rememberedMs = maxAgeMs + futureIatMs;
  }

  /**
   * It serves from now on, in the place of another. Where that accepted proofs for a shorter time, it has forgotten some that are
   * not too old here: they must not pass again.
   */
  succeed(before: ProofChecker): void {
    const forgottenUntilMs = this.#parts.clock.nowMs() - before.#rememberedMs;
    this.#verifier.oldestIatSeconds = Math.max(before.#verifier.oldestIatSeconds, forgottenUntilMs / 1000);
  }

  nonce(nowMs: number): string | undefined {
    return this.#nonces?.current(nowMs);
  }

  async accept(lines: readonly string[], request: ProvenRequest, nowMs: number): Promise<AcceptedProof> {
    const proof = this.#valid(lines, request, nowMs);
    const isFirst = await this.#spend(proof, request);
    return { failedOpen: !isFirst, nextNonce: proof.nonce === 'previous' ? this.nonce(nowMs) : undefined };
  }

  #valid(lines: readonly string[], request: ProvenRequest, nowMs: number): ValidProof {
    const [line, second] = lines;
    try {
      if (line === undefined || second !== undefined) throw NOT_ONE_LINE;
      const url = normalisedHtu(request.url);
      if (url === undefined) throw NO_URL;
      return this.#verifier.verify(line, { ...request, url, nowMs });
    } catch (error) {
      const needsNonce = error instanceof ProofRefused && error.kind === 'nonce';
      this.#parts.count(needsNonce ? 'nonce' : 'invalid');
      if (needsNonce) throw PROOF_NEEDS_NONCE;
      throw error instanceof ProofRefused ? invalidProof(error.message) : error;
    }
  }

  /** @returns true: it is the first use of the proof in the fleet. false: that cannot be known, and the request may pass. */
  async #spend({ id, usableForMs }: ValidProof, request: ProvenRequest): Promise<boolean> {
    const { replay, count } = this.#parts;
    const { keyThumbprint, whenReplayUnknown } = request;
    const claim = this.#allowance.claim(keyThumbprint);
    if (claim === undefined) {
      count('too_many');
      throw TOO_MANY_PROOFS;
    }
    let isFirst: boolean;
    try {
      isFirst = await replay.firstUse(DPOP, id, usableForMs);
    } catch (cause) {
      if (whenReplayUnknown === 'allow') {
        count('passed_unknown');
        return false;
      }
      this.#allowance.release(keyThumbprint, claim);
      count('unknown');
      throw unavailable('replay_unavailable', RETRY_AFTER_SECONDS, { cause });
    }
    if (isFirst) {
      count('accepted');
      return true;
    }
    this.#allowance.release(keyThumbprint, claim);
    count('replayed');
    throw REPLAYED;
  }
}
