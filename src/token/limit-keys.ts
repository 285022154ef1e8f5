/**
 * By which key of a limit a caller is counted: that of its token where the limit looks at one, else that of its address. Each is computed
 * once for a token, and once for an address as long as it is known. Pure. Rules L1, L3.
 *
 * A caller without a token is counted by its address, and a token that does not say what the limit counts by shares one bucket with all
 * such tokens of its issuer: leaving a claim out must not be a way around the limit.
 */
import { clientNetwork } from '../http/client-address.ts';
import { limitKey, type RateLimit } from '../limits/rate-limit.ts';
import { claimAt, isJsonObject, parseClaimPath, type JsonValue } from './claims.ts';
import { claimText } from './claim-texts.ts';
import { TokenMemo } from './token-memo.ts';
import type { AuthenticToken } from './token-verifier.ts';

/** Addresses whose keys are known: beyond that all are forgotten, which costs a hash each. */
const MAX_ADDRESSES = 1_000;

export class LimitKeys {
  readonly #limit: RateLimit;
  readonly #ofToken: TokenMemo<string>;
  readonly #ofAddress = new Map<string, string>();

  constructor(limit: RateLimit) {
    const valueOf = valueReader(limit);
    this.#limit = limit;
    this.#ofToken = new TokenMemo((token) =>
      limitKey(limit.name, token.issuer, limit.by, valueOf(token) ?? null),
    );
  }

  /** @param address of the client, as the log has it */
  of(token: AuthenticToken | undefined, address: string): string {
    return token === undefined ? this.ofAddress(address) : this.#ofToken.of(token);
  }

  /** All addresses of one IPv6 /64 have the same. */
  ofAddress(address: string): string {
    const known = this.#ofAddress.get(address);
    if (known !== undefined) return known;
    if (this.#ofAddress.size >= MAX_ADDRESSES) this.#ofAddress.clear();
    const key = limitKey(this.#limit.name, null, 'ip', clientNetwork(address));
    this.#ofAddress.set(address, key);
    return key;
  }

  /** What the token is counted by: undefined where it does not say. */
  static valueOf(limit: RateLimit, token: AuthenticToken): string | undefined {
    return valueReader(limit)(token);
  }
}

function valueReader({ by, claim = '' }: RateLimit): (token: AuthenticToken) => string | undefined {
  switch (by) {
    case 'subject':
      return ({ subject }) => subject;
    case 'client':
      return ({ clientId }) => clientId;
    case 'tenant':
      return ({ tenant }) => tenant;
    case 'issuer':
      return ({ issuer }) => issuer;
    case 'claim': {
      const path = parseClaimPath(claim);
      return ({ claims }) => plainText(claimAt(claims, path));
    }
    case 'ip':
      // Such a limit counts before there is a token.
      return () => undefined;
  }
}

/** A text, a number or a boolean, as revocations name it. A list has no text of its own: its order may be a client's choice. */
function plainText(value: JsonValue | undefined): string | undefined {
  return Array.isArray(value) || isJsonObject(value) ? undefined : claimText(value);
}
