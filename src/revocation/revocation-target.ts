/**
 * What a revocation is aimed at, and the ids that stand for it. Pure. docs/revocation.md.
 */
import { hash } from 'node:crypto';

/** What can be revoked. `token` and `token_id` name one token, `session` ends for good; the others have a cutoff. */
export type TargetKind = 'token' | 'token_id' | 'subject' | 'session' | 'client' | 'claim';

/**
 * One target. `value` is a token digest (`token`), a `jti` (`token_id`), a `sub`, a `sid`, a `client_id`, or
 * for `claim` a JSON array of the claim's path and its text.
 */
export interface RevocationTarget {
  /** Or ANY_ISSUER, with a digest. */
  readonly issuer: string;
  readonly kind: TargetKind;
  readonly value: string;
}

/** In the place of an issuer: a digest names one token, whichever server knows it. No `iss` is a lone asterisk. */
export const ANY_ISSUER = '*';

/** Is one token meant, whenever it was issued? */
export function isExact(kind: TargetKind): boolean {
  return kind === 'token' || kind === 'token_id';
}

/**
 * Does an entry of this kind end all that it matches, whenever it was issued? A session's tokens come back with a later
 * `iat` when they are refreshed: a cutoff would let them pass (rule V14).
 */
export function isForGood(kind: TargetKind): boolean {
  return isExact(kind) || kind === 'session';
}

/** 127 bits of a digest: enough that no second target can be found with the same key, short enough to type. */
const KEY_BYTES = 16;

/** What stands for a target wherever it is looked up: 128 bits, of which the first is 0, as four words. */
export type TargetKey = Uint32Array;

function targetDigest({ issuer, kind, value }: RevocationTarget): Buffer {
  const digest = hash('sha256', JSON.stringify([issuer, kind, value]), 'buffer').subarray(0, KEY_BYTES);
  // An id begins with a letter: with "-" it would be taken for an option on a command line.
  digest[0] = (digest[0] ?? 0) & 0x7f;
  return digest;
}

/** The id of the one entry that a target has: the same on every gateway. 22 characters, base64url, the first a letter. */
export function targetId(target: RevocationTarget): string {
  return targetDigest(target).toString('base64url');
}

/** The key behind an id. */
export function keyOfId(id: string): TargetKey {
  return wordsOf(Buffer.from(id, 'base64url'));
}

/** The id behind a key. */
export function idOfKey(key: TargetKey): string {
  const bytes = Buffer.alloc(KEY_BYTES);
  for (let word = 0; word < key.length; word++) bytes.writeUInt32BE(key[word] ?? 0, 4 * word);
  return bytes.toString('base64url');
}

function wordsOf(bytes: Buffer): TargetKey {
  const words = new Uint32Array(KEY_BYTES / 4);
  for (let word = 0; word < words.length; word++) words[word] = bytes.readUInt32BE(4 * word);
  return words;
}

/** A party that acts for the subject of a token. Entries for it end the token, too. */
export interface RevocableActor {
  /** Under which it is known; undefined: under that of the token. */
  readonly issuer: string | undefined;
  readonly subject: string | undefined;
  readonly clients: readonly string[];
}

/** What of a token can be revoked. */
export interface RevocableFacts {
  readonly issuer: string;
  /** `jti`, where it has one. */
  readonly tokenId: string | undefined;
  /** SHA-256 of `header.payload` of a JWT, or of an opaque token. */
  readonly digest: () => string;
  readonly subjects: readonly string[];
  readonly sessions: readonly string[];
  readonly clients: readonly string[];
  /** Who acts for its subject; absent: its chain of actors is empty. */
  readonly actors?: readonly RevocableActor[];
  /** The configured claims (`revocation.claims`) that the token has: path and text; one pair for each element of an array. */
  readonly claims: readonly (readonly [path: string, text: string])[];
  /** `auth_time` in seconds, where it says when the user logged in. */
  readonly loggedInAt?: number | undefined;
  /** When no route accepts the token any more, in seconds: `exp` and the clock skew. Undefined: nothing says. */
  readonly endsAt?: number | undefined;
}

const NO_TOKENS: readonly RevocableToken[] = [];
const NO_ACTORS: readonly RevocableActor[] = [];

/** A token as the revocation list knows it. Its keys are worked out when they are first needed, and once. */
export class RevocableToken {
  readonly #facts: RevocableFacts;
  readonly #alsoKnownAs: readonly RevocableToken[];
  #digest: string | undefined;
  #exact: readonly TargetKey[] | undefined;
  #sessions: readonly TargetKey[] | undefined;
  #subjects: readonly TargetKey[] | undefined;
  #cutoffs: readonly TargetKey[] | undefined;

  /** @param alsoKnownAs the same token, as it is called elsewhere: an entry for any of these ends it, too */
  constructor(facts: RevocableFacts, alsoKnownAs: readonly RevocableToken[] = NO_TOKENS) {
    this.#facts = facts;
    this.#alsoKnownAs = alsoKnownAs;
  }

  /** Keys of entries that name this token. */
  get tokenKeys(): readonly TargetKey[] {
    return (this.#exact ??= [
      wordsOf(targetDigest({ issuer: ANY_ISSUER, kind: 'token', value: this.#contentDigest })),
      ...this.#keysOf('token', this.#contentDigest),
      ...this.#keysOf('token_id', this.#facts.tokenId),
      ...this.#alsoKnownAs.flatMap(({ tokenKeys: exact }) => exact),
    ]);
  }

  /** Keys of entries that end its session for good. */
  get sessionKeys(): readonly TargetKey[] {
    return (this.#sessions ??= [
      ...this.#facts.sessions.flatMap((session) => this.#keysOf('session', session)),
      ...this.#alsoKnownAs.flatMap(({ sessionKeys: sessions }) => sessions),
    ]);
  }

  /** Keys of entries that end every matching token whose login was up to their cutoff: see `loggedIn()`. */
  get subjectKeys(): readonly TargetKey[] {
    return (this.#subjects ??= [
      ...this.#facts.subjects.flatMap((subject) => this.#keysOf('subject', subject)),
      ...this.#actors.flatMap(({ issuer, subject }) => this.#keysOf('subject', subject, issuer)),
      ...this.#alsoKnownAs.flatMap(({ subjectKeys: subjects }) => subjects),
    ]);
  }

  /** Keys of entries that end every matching token issued up to their cutoff. */
  get clientAndClaimKeys(): readonly TargetKey[] {
    const { clients, claims } = this.#facts;
    return (this.#cutoffs ??= [
      ...clients.flatMap((client) => this.#keysOf('client', client)),
      ...this.#actors.flatMap((actor) => this.#clientKeysOf(actor)),
      ...claims.flatMap(([path, text]) => this.#keysOf('claim', claimTargetValue(path, text))),
      ...this.#alsoKnownAs.flatMap(({ clientAndClaimKeys: cutoffs }) => cutoffs),
    ]);
  }

  /** Of those, the keys of entries that name an actor of its chain. */
  get actorKeys(): readonly TargetKey[] {
    return [
      ...this.#actors.flatMap((actor) => [
        ...this.#keysOf('subject', actor.subject, actor.issuer),
        ...this.#clientKeysOf(actor),
      ]),
      ...this.#alsoKnownAs.flatMap(({ actorKeys: actors }) => actors),
    ];
  }

  /** Keys of every entry that can revoke it. */
  get keys(): readonly TargetKey[] {
    return [...this.tokenKeys, ...this.sessionKeys, ...this.subjectKeys, ...this.clientAndClaimKeys];
  }

  /**
   * When its user logged in, in seconds: what the cutoff of a subject is compared with. A refresh keeps `auth_time`, a
   * login does not; so the earlier of it and `iat` counts. An `auth_time` that is later than `iat` counts for nothing.
   *
   * @param issuedAt `iat` in seconds; a token without one matches every cutoff
   */
  loggedIn(issuedAt: number | undefined): number | undefined {
    const { loggedInAt } = this.#facts;
    return issuedAt === undefined || loggedInAt === undefined || loggedInAt > issuedAt
      ? issuedAt
      : loggedInAt;
  }

  /** When no route accepts it any more, in seconds; undefined where nothing says. */
  get endsAt(): number | undefined {
    return this.#facts.endsAt;
  }

  /** The entry that revokes this one token: by its `jti`, or by its digest where it has none. */
  get target(): RevocationTarget {
    const { issuer, tokenId } = this.#facts;
    // An empty jti would be the identity of many tokens (rule V16).
    return tokenId === undefined || tokenId === ''
      ? { issuer, kind: 'token', value: this.#contentDigest }
      : { issuer, kind: 'token_id', value: tokenId };
  }

  get #contentDigest(): string {
    return (this.#digest ??= this.#facts.digest());
  }

  get #actors(): readonly RevocableActor[] {
    return this.#facts.actors ?? NO_ACTORS;
  }

  /** A service that acts is a client; whether it is called so, or by its `sub`, differs from server to server. */
  #clientKeysOf({ issuer, subject, clients }: RevocableActor): TargetKey[] {
    return [...new Set([subject, ...clients])].flatMap((client) => this.#keysOf('client', client, issuer));
  }

  /** None for an empty value: it names nothing (rule V16). */
  #keysOf(kind: TargetKind, value: string | undefined, issuer = this.#facts.issuer): TargetKey[] {
    return value === undefined || value === '' ? [] : [wordsOf(targetDigest({ issuer, kind, value }))];
  }
}

export function claimTargetValue(path: string, text: string): string {
  return JSON.stringify([path, text]);
}
