/** Who uses the admin API, and what it may do. */

/** Each may do what those before it may. */
export const ROLES = ['read', 'revoke', 'operate'] as const;
export type Role = (typeof ROLES)[number];

export interface Caller {
  /** For the audit log and `created_by`. */
  readonly name: string;
  readonly address: string;
  /** Undefined: none. */
  readonly role: Role | undefined;
  /** How it signed in: the name of its admin token, or of its issuer. Bounded, fit for a metric label. */
  readonly source: string;
  /** NumericDate, in seconds; undefined for an admin token. */
  readonly expiresAt: number | undefined;
}

export function mayAct({ role }: Caller, needed: Role): boolean {
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(needed);
}
