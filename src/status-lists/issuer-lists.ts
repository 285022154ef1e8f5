/**
 * The lists of one issuer: those that its tokens name, under the URIs that the configuration allows. Bounded in number and
 * bytes: what is full takes no new list, unless one of those that are held has not been named for a while.
 *
 * Only a token that is authentic has a list fetched, and a client cannot make up such a token: it can name the lists that its
 * issuer has given it tokens for, and put none of those out that others use.
 */
import { invalidToken } from '../auth-errors.ts';
import type { GatewayError } from '../errors.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import { statusClaim, type StatusReference, type StatusUris } from '../token/status-claim.ts';
import type { AuthenticToken, TokenCaller } from '../token/token-verifier.ts';
import { HeldList, type FetchResult, type HeldListParts, type HeldState } from './held-list.ts';
import { statusText } from './status-list.ts';
import { ListRefused } from './status-list-token.ts';

/** A list that no token has named for this long is not refreshed any more, and is forgotten. */
const FORGET_AFTER_MS = 600_000;
/** A list that a token has named within this time gives no room to another. */
const IN_USE_MS = 60_000;

/** What a token may say that the configuration does not expect: details of refusals. */
export const UNEXPECTED = {
  malformed: 'its status claim cannot be read',
  none: 'it names no status list',
  elsewhere: 'its status list is none of status_list.uris',
} as const;

export interface IssuerListsPolicy {
  readonly issuerName: string;
  readonly uris: StatusUris;
  /** Refuses tokens that name no list. */
  readonly required: boolean;
  readonly refreshMs: number;
  readonly maxAgeMs: number;
  readonly maxLists: number;
  /** Of all lists together, unpacked. */
  readonly maxBytes: number;
}

/** What happens to the lists of an issuer. */
export interface ListObserver {
  /** @param isKnown a list that was fetched before may be used still */
  listFetched(issuer: string, uri: string, result: FetchResult, isKnown: boolean, error?: unknown): void;
}

export interface IssuerListsParts extends Pick<HeldListParts, 'fetch' | 'verifier' | 'clock'> {
  readonly observer: ListObserver;
  /** A list says something else now: what goes on may have to end. */
  readonly changed: () => void;
}

/** What is known of a token: it is good, it is refused, or nothing that may be gone by. */
export type StatusVerdict = 'good' | 'unknown' | GatewayError;

/** What the list says of one token, for people. */
export interface StatusFacts extends StatusReference {
  /** Undefined: the list says nothing of it, or is not there. */
  readonly status: number | undefined;
  /** Of the list; Infinity where there is none. */
  readonly ageMs: number;
  readonly isCurrent: boolean;
}

export class IssuerLists {
  readonly policy: IssuerListsPolicy;
  readonly #parts: IssuerListsParts;
  readonly #lists = new Map<string, HeldList>();
  /** Claims are read once for each token; null: it names nothing that is needed. Not kept with the token, since a stream outlives this. */
  readonly #references = new WeakMap<AuthenticToken, StatusReference | GatewayError | null>();
  #isFull = false;

  constructor(policy: IssuerListsPolicy, parts: IssuerListsParts) {
    this.policy = policy;
    this.#parts = parts;
  }

  /** Those that are held, or that tokens ask for in vain. */
  get lists(): Iterable<HeldList> {
    return this.#lists.values();
  }

  get states(): readonly HeldState[] {
    return [...this.#lists.values()].flatMap((list) => list.state ?? []);
  }

  /**
   * Resolves once each list that the configuration names was fetched or has failed once. What was held before goes on.
   *
   * @param before of the generation before
   */
  async start(before: readonly HeldState[]): Promise<void> {
    const { uris } = this.policy;
    for (const state of before) {
      if (!uris.has(state.uri)) continue;
      const list = this.#listFor(state.uri);
      if (list?.adopt(state) === false) this.#lists.delete(state.uri);
    }
    await Promise.all(
      uris.exact.flatMap((uri) => (this.#lists.has(uri) ? [] : (this.#listFor(uri)?.start() ?? []))),
    );
  }

  stop(): void {
    for (const list of this.#lists.values()) list.stop();
  }

  /**
   * Fetches and reads a list once, for an operator.
   *
   * @returns what it has
   * @throws as the fetch does, and ListRefused
   */
  async probe(uri: string): Promise<string> {
    const { fetch, verifier } = this.#parts;
    const fetched = await fetch(uri, undefined);
    if (fetched === 'unchanged') throw new ListRefused('malformed');
    const { list } = await verifier.verify(fetched.text, uri);
    return `${list.size} statuses`;
  }

  /** What the token names: undefined for nothing that is needed; a refusal where it names nothing that may be fetched. */
  referenceOf(token: AuthenticToken): StatusReference | GatewayError | undefined {
    let reference = this.#references.get(token);
    if (reference === undefined) {
      reference = this.#read(token) ?? null;
      this.#references.set(token, reference);
    }
    return reference ?? undefined;
  }

  /** May wait for a list that is not there, and for one that is too short or too old. Without a Promise where the list is there. */
  verdictOf(token: AuthenticToken, caller: TokenCaller): MaybePromise<StatusVerdict> {
    const reference = this.referenceOf(token);
    if (reference === undefined) return 'good';
    if (reference instanceof Error) return reference;
    const list = this.#listFor(reference.uri);
    if (!list) return 'unknown';
    const known = this.#verdict(list, reference.index);
    if (known !== undefined) return known;
    return this.#awaited(list, reference.index, caller);
  }

  /** The same by what is held, without a wait: for what goes on, such as a stream. A list that is missing is asked for. */
  heldVerdictOf(token: AuthenticToken): StatusVerdict {
    const reference = this.referenceOf(token);
    if (reference === undefined) return 'good';
    if (reference instanceof Error) return reference;
    const list = this.#listFor(reference.uri);
    const known = list && this.#verdict(list, reference.index);
    if (known === undefined) list?.refresh();
    return known ?? 'unknown';
  }

  factsOf(token: AuthenticToken): StatusFacts | undefined {
    const reference = this.referenceOf(token);
    if (reference === undefined || reference instanceof Error) return undefined;
    const list = this.#lists.get(reference.uri);
    return {
      ...reference,
      status: list?.statusAt(reference.index),
      ageMs: list?.ageMs ?? Infinity,
      isCurrent: list?.isCurrent ?? false,
    };
  }

  /** Undefined where the list that is held does not decide. */
  #verdict(list: HeldList, index: number): StatusVerdict | undefined {
    const status = list.statusAt(index);
    // What is known to be refused stays so, however old the list is.
    if (status !== undefined && status !== 0) return this.#refusal(`its status is ${statusText(status)}`);
    return status === 0 && list.isCurrent ? 'good' : undefined;
  }

  async #awaited(list: HeldList, index: number, caller: TokenCaller): Promise<StatusVerdict> {
    const isDecided = await list.awaited(caller, () => this.#verdict(list, index) !== undefined);
    const verdict = this.#verdict(list, index);
    if (verdict !== undefined) return verdict;
    // The list was fetched since, and ends before this index: no statement can be made about the token.
    return isDecided && list.isCurrent ? this.#refusal('its index is beyond the end of the list') : 'unknown';
  }

  #refusal(detail: string): GatewayError {
    return invalidToken('status', this.policy.issuerName, detail);
  }

  #read({ claims }: AuthenticToken): StatusReference | GatewayError | undefined {
    const { required, uris } = this.policy;
    const named = statusClaim(claims);
    if (named === 'malformed') return this.#refusal(UNEXPECTED.malformed);
    if (named === undefined) return required ? this.#refusal(UNEXPECTED.none) : undefined;
    return uris.has(named.uri) ? named : this.#refusal(UNEXPECTED.elsewhere);
  }

  /** The list behind a URI that may be fetched, in use from now on; undefined where there is no room for it. */
  #listFor(uri: string): HeldList | undefined {
    const { clock } = this.#parts;
    const known = this.#lists.get(uri);
    if (known) {
      known.usedAtMs = clock.monotonicMs();
      return known;
    }
    const { maxLists, refreshMs, maxAgeMs } = this.policy;
    if (this.#lists.size >= maxLists && !this.#forgetIdle()) {
      if (!this.#isFull) this.#ended(uri, 'full', false);
      this.#isFull = true;
      return undefined;
    }
    this.#isFull = false;
    const list = new HeldList({
      ...this.#parts,
      uri,
      refreshMs,
      maxAgeMs,
      admits: (of, bytes) => this.#admits(of, bytes),
      ended: (of, result, error) => this.#ended(uri, result, of.isCurrent, error),
      isWanted: (of) => this.#isWanted(of),
    });
    this.#lists.set(uri, list);
    return list;
  }

  #ended(uri: string, result: FetchResult, isKnown: boolean, error?: unknown): void {
    this.#parts.observer.listFetched(this.policy.issuerName, uri, result, isKnown, error);
    if (result === 'success') this.#parts.changed();
  }

  #admits(list: HeldList, bytes: number): boolean {
    const others = (): number =>
      [...this.#lists.values()].reduce((sum, each) => (each === list ? sum : sum + each.bytes), 0);
    while (others() + bytes > this.policy.maxBytes) if (!this.#forgetIdle(list)) return false;
    return true;
  }

  /** Makes room: forgets the list that was named longest ago, unless that was just now. */
  #forgetIdle(except?: HeldList): boolean {
    const { exact } = this.policy.uris;
    const idle = [...this.#lists.values()]
      .filter((list) => list !== except && !exact.includes(list.uri))
      .reduce<HeldList | undefined>(
        (a, b) => (a === undefined || b.usedAtMs < a.usedAtMs ? b : a),
        undefined,
      );
    if (!idle || this.#parts.clock.monotonicMs() - idle.usedAtMs < IN_USE_MS) return false;
    this.#forget(idle);
    return true;
  }

  #isWanted(list: HeldList): boolean {
    if (this.policy.uris.exact.includes(list.uri)) return true;
    if (this.#parts.clock.monotonicMs() - list.usedAtMs < FORGET_AFTER_MS) return true;
    this.#forget(list);
    return false;
  }

  #forget(list: HeldList): void {
    list.stop();
    this.#lists.delete(list.uri);
  }
}
