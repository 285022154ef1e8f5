/**
 * Parts API keys from tokens, in front of everything that verifies these: what begins like a key is looked up among the keys of
 * the route's issuers, and goes to no authorization server, no validation service and no cache. Rules X1, X2.
 */
import { invalidToken, unavailable } from '../auth-errors.ts';
import { orThrow, whenReady, type MaybePromise } from '../maybe-promise.ts';
import { presentedDigest } from '../token/token-digest.ts';
import type { Judgement, TokenCaller, TokenVerifier, Verification } from '../token/token-verifier.ts';
import type { ApiKeyVerifier } from './api-key-verifier.ts';
import { hasKeyPrefix, isKeyText } from './key-text.ts';

const STORE_RETRY_AFTER_SECONDS = 1;

const NO_KEY = invalidToken(
  'malformed',
  undefined,
  'it begins like an API key, and its form or checksum is wrong',
);
const NO_ISSUER = invalidToken('unknown_issuer', undefined, 'it is an API key, and the route accepts none');

export class KeysApart implements TokenVerifier {
  readonly #keys: readonly ApiKeyVerifier[];
  readonly #tokens: TokenVerifier;

  /**
   * @param keys of the issuers that the route accepts
   * @param tokens verifies everything else
   */
  constructor(keys: readonly ApiKeyVerifier[], tokens: TokenVerifier) {
    this.#keys = keys;
    this.#tokens = tokens;
  }

  verify(token: string, caller: TokenCaller): MaybePromise<Verification> {
    return whenReady(this.judge(token, caller), orThrow);
  }

  judge(token: string, caller: TokenCaller, digest?: string): MaybePromise<Judgement> {
    return hasKeyPrefix(token)
      ? this.#judgeKey(token, digest ?? presentedDigest(token))
      : this.#tokens.judge(token, caller, digest);
  }

  /** A key that is stored costs neither cryptography nor a call. */
  knows(digest: string): boolean {
    return this.#keys.some(({ source }) => source.find(digest) !== undefined) || this.#tokens.knows(digest);
  }

  #judgeKey(key: string, digest: string): Judgement {
    for (const issuer of this.#keys) {
      const known = issuer.known(digest);
      if (known !== undefined) return known;
    }
    if (!isKeyText(key)) return NO_KEY;
    for (const issuer of this.#keys) {
      const found = issuer.find(digest);
      if (found !== undefined) return found;
    }
    const [only, second] = this.#keys;
    if (only === undefined) return NO_ISSUER;
    // A key that was made while the store was away: 401 would have a client throw a good key away.
    const unsure = this.#keys.find(({ source }) => !source.isCurrent);
    if (unsure)
      return unavailable('keys_unavailable', STORE_RETRY_AFTER_SECONDS, { issuer: unsure.policy.issuerName });
    return invalidToken('unknown_api_key', second === undefined ? only.policy.issuerName : undefined);
  }
}
