/**
 * Who may use the admin API: the holder of an admin token, compared in constant time, or of a token of the issuer in
 * `admin.auth`; wrong tries are throttled. Rules A1, A2.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isAddress } from '../http/client-address.ts';
import type { Clock } from '../clock.ts';
import { GatewayError } from '../errors.ts';
import type { Caller, Role } from './caller.ts';
import type { IssuerSignIn } from './issuer-sign-in.ts';

export interface AdminToken {
  readonly name: string;
  readonly token: string;
}

export type AdminCaller =
  | { readonly outcome: 'known'; readonly caller: Caller }
  | { readonly outcome: 'missing' }
  /** `reason` says what is wrong with a token of the issuer. */
  | { readonly outcome: 'wrong'; readonly reason: string | undefined }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number };

/** Wrong tries an address has at once, and how fast they come back. */
const TRIES = 10;
const TRIES_BACK_PER_SECOND = 0.5;
/** Beyond this many addresses the oldest is forgotten. */
const MAX_ADDRESSES = 10_000;

/**
 * Reasons that only an authentic token gets: to present one is no guess. A page that is left open goes on asking when its token
 * has expired, and must not keep out others behind the same address.
 */
const WERE_GOOD: ReadonlySet<string | undefined> = new Set(['expired', 'revoked', 'status']);

interface Allowance {
  tries: number;
  atMs: number;
}

export class AdminAuth {
  readonly #tokens: readonly { readonly name: string; readonly digest: Buffer }[];
  readonly #clock: Clock;
  readonly #signIn: IssuerSignIn | undefined;
  readonly #allowances = new Map<string, Allowance>();

  /** @param signIn undefined: only admin tokens are accepted */
  constructor(tokens: readonly AdminToken[], clock: Clock, signIn?: IssuerSignIn) {
    this.#tokens = tokens.map(({ name, token }) => ({ name, digest: sha256(token) }));
    this.#clock = clock;
    this.#signIn = signIn;
  }

  get enabled(): boolean {
    return this.#tokens.length > 0 || this.#signIn !== undefined;
  }

  /** The scope that a token of the issuer needs for this; undefined where none is enough. */
  scopeFor(role: Role): string | undefined {
    return this.#signIn?.scopeFor(role);
  }

  /**
   * @param authorization every Authorization line of the request
   * @throws GatewayError 503 where the keys of the issuer or the revocation list are unavailable
   */
  async identify(authorization: readonly string[], address: string): Promise<AdminCaller> {
    const waitSeconds = this.#waitSeconds(address);
    if (waitSeconds > 0) return { outcome: 'throttled', retryAfterSeconds: waitSeconds };
    const [line] = authorization;
    if (line === undefined || authorization.length > 1) return { outcome: 'missing' };
    const [, presented] = /^bearer +(\S+)$/i.exec(line) ?? [];
    if (presented === undefined) return { outcome: 'missing' };
    const digest = sha256(presented);
    let name: string | undefined;
    // Every token is compared, and each by its digest: the time tells nothing of where they differ.
    for (const known of this.#tokens) if (timingSafeEqual(known.digest, digest)) name = known.name;
    if (name !== undefined)
      return {
        outcome: 'known',
        caller: { name, address, role: 'operate', source: name, expiresAt: undefined },
      };
    if (!this.#signIn) {
      // Before anything waits: of requests that come at once, too, only so many are looked at.
      this.#spend(address);
      return { outcome: 'wrong', reason: undefined };
    }
    const signedIn = await this.#identifyByIssuer(line, address, this.#signIn);
    if (signedIn.outcome === 'wrong' && !WERE_GOOD.has(signedIn.reason)) this.#spend(address);
    return signedIn;
  }

  async #identifyByIssuer(line: string, address: string, signIn: IssuerSignIn): Promise<AdminCaller> {
    try {
      return { outcome: 'known', caller: await signIn.identify(line, address) };
    } catch (error) {
      if (!(error instanceof GatewayError) || error.status >= 500) throw error;
      return { outcome: 'wrong', reason: error.reason };
    }
  }

  #waitSeconds(address: string): number {
    const allowance = this.#allowances.get(address);
    if (!allowance) return 0;
    const tries = this.#triesLeft(allowance);
    return tries >= 1 ? 0 : Math.ceil((1 - tries) / TRIES_BACK_PER_SECOND);
  }

  #triesLeft({ tries, atMs }: Allowance): number {
    return Math.min(TRIES, tries + ((this.#clock.monotonicMs() - atMs) / 1000) * TRIES_BACK_PER_SECOND);
  }

  #spend(address: string): void {
    const allowance = this.#allowances.get(address);
    const tries = (allowance ? this.#triesLeft(allowance) : TRIES) - 1;
    this.#allowances.delete(address);
    this.#allowances.set(address, { tries, atMs: this.#clock.monotonicMs() });
    const [oldest] = this.#allowances.keys();
    if (this.#allowances.size > MAX_ADDRESSES && oldest !== undefined) this.#allowances.delete(oldest);
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/**
 * May a request with this Host use the API? A page on another site can make its own name point to our address
 * and talk to us as its own origin; it cannot do so under an IP literal, `localhost` or a name of ours.
 */
export function hostAllowed(host: string | undefined, allowed: readonly string[]): boolean {
  const name = host
    ?.replace(/:\d{1,5}$/, '')
    .replace(/\.$/, '')
    .toLowerCase();
  if (name === undefined || name === '') return false;
  const literal = name.replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || isAddress(literal) || allowed.some((own) => own.toLowerCase() === name);
}
