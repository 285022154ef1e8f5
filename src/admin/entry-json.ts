/** An entry of the revocation list as the API sends it: one type for the API, the command line and the page. Types only. */

/** What a revocation does and does not, in words. */
export interface Effect {
  /** What this gateway refuses from now on. */
  readonly ends: string;
  /** What the authorization server must end, or its clients get tokens that pass. */
  readonly also_end: string;
}

/** What is revoked: one member, by the kind. */
export type TargetJson = Readonly<Record<string, string | Readonly<Record<string, string>>>>;

/** Dates are seconds since 1970. */
export interface EntryJson {
  readonly id: string;
  /** Null with `target`, for an entry that a gateway has put back after the store had lost it: only its id is known. */
  readonly issuer: string | null;
  readonly target: TargetJson | null;
  /** Null where it ends what it matches for good: one token, or a session. */
  readonly issued_before: number | null;
  readonly expires_at: number;
  readonly created_at: number;
  readonly created_by: string;
  readonly reason: string | null;
}

/** Which gateways of the fleet have it in force: refuse by it, or do not any more where it was undone. */
export interface ConfirmedJson {
  /** That share the store, this one among them. */
  readonly gateways: number;
  readonly refuse: number;
  /** When the last of them said so, from when the store had it. */
  readonly slowest_ms: number;
  /** Their names, as GET /v1/gateways has them. */
  readonly by: readonly string[];
  /** Those that did not say so in time: two seconds with `confirm`, five with `wait`. */
  readonly unconfirmed: readonly string[];
}

/** The response to POST /v1/revocations. */
export interface RevokedJson extends EntryJson, Effect {
  /** Where it was asked for. */
  readonly confirmed?: ConfirmedJson;
  /** Where `proof` is configured: what was revoked, signed (RFC 7515). */
  readonly receipt?: string;
  /** True: the token has expired already, and nothing was stored. */
  readonly expired?: boolean;
}

/** The same, where it is a dry run. */
export interface PreviewJson extends Pick<EntryJson, 'id'>, Effect {
  readonly dry_run: true;
  readonly issuer: string;
  readonly target: TargetJson;
}
