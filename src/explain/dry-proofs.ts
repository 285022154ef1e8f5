/**
 * Proofs of possession in a dry run: judged by the gateway's own checker, over the token that was given, and not used up. What
 * it was asked is kept, so that a refusal can be explained.
 */
import { proofsOf } from '../assembly/proofs.ts';
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import type { AcceptedProof, Proofs, ProvenRequest } from '../stages/check-possession.ts';

/** What the checker was asked. */
export interface AskedProof {
  readonly lines: readonly string[];
  readonly request: ProvenRequest;
  readonly nowMs: number;
}

/** A memory that has seen no proof, and remembers none. */
const FORGETFUL = {
  firstUse: async () => true,
  isUsed: async () => false,
  resize: () => undefined,
  close: async () => undefined,
};

export class DryProofs implements Proofs {
  asked: AskedProof | undefined;
  readonly #checker: Proofs;
  readonly #token: string | undefined;

  private constructor(checker: Proofs, token: string | undefined) {
    this.#checker = checker;
    this.#token = token;
  }

  /**
   * @param token as it was given: a stand-in for it may be in the request
   * @returns undefined where no route accepts proofs
   */
  static of(
    configuration: Configuration,
    { clock, token }: { readonly clock: Clock; readonly token: string | undefined },
  ): DryProofs | undefined {
    const checker = proofsOf(configuration, { replay: FORGETFUL, clock, count: () => undefined });
    return checker && new DryProofs(checker, token);
  }

  accept(lines: readonly string[], request: ProvenRequest, nowMs: number): MaybePromise<AcceptedProof> {
    const asked = { ...request, accessToken: this.#token ?? request.accessToken };
    this.asked = { lines, request: asked, nowMs };
    return this.#checker.accept(lines, asked, nowMs);
  }

  nonce(nowMs: number): string | undefined {
    return this.#checker.nonce(nowMs);
  }
}
