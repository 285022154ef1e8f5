/** The latest canary as GET /v1/gateways sends it: one type for the API and the page. Types only. */

/** Names are those of gateways, as GET /v1/gateways has them. */
export interface CanaryJson {
  readonly made_by: string;
  /** Seconds since 1970, by the store's clock. */
  readonly made_at: number;
  /** That ran when it was made, those without a heartbeat too. */
  readonly gateways: number;
  readonly refuse: number;
  /** How long the last of them took; null where none refuses yet. */
  readonly slowest_seconds: number | null;
  /** By so much that may be wrong, either way. */
  readonly error_seconds: number | null;
  /** Those that may still say something. */
  readonly waiting: readonly string[];
  /** Those that say that they do not refuse what is in the store. */
  readonly missed: readonly string[];
  /** Those that have said nothing of it: they are gone, hang, or are cut off from the store. */
  readonly silent: readonly string[];
  /** Those that cannot tell: the store was unavailable, or never got it. */
  readonly unknown: readonly string[];
}
