/**
 * The issuer of many tenants, whose tokens have an `iss` each: `https://login.example/{tenant}/v2.0`. And which `iss` an
 * issuer of any kind has given. Pure. Rules J3, J20.
 *
 * The placeholder is one whole segment of the path. What stands in its place is compared byte by byte, as `iss` always is.
 */
import type { ClaimPath, JsonValue } from './claims.ts';

/** What stands in the place of the placeholder. */
export const TENANT = /^[A-Za-z0-9-]+$/;
const TEMPLATE = /^(https?:\/\/[^/?#{}]+\/(?:[^/?#{}]+\/)*)\{tenant\}((?:\/[^?#{}]*)?)$/;
/** In metadata and in keys a server gives the placeholder a name of its own: Entra ID writes `{tenantid}`. */
const PLACEHOLDER = /\{[A-Za-z_]+\}/;

/** Does it have the one placeholder, in the one place where it may stand? */
export function isIssuerTemplate(text: string): boolean {
  return TEMPLATE.test(text);
}

export class IssuerTemplate {
  readonly #text: string;
  readonly #before: string;
  readonly #after: string;
  readonly #tenants: ReadonlySet<string> | undefined;

  /**
   * @param text for which isIssuerTemplate holds
   * @param tenants those whose tokens count; undefined: every tenant of the provider
   */
  constructor(text: string, tenants: readonly string[] | undefined) {
    const [, before = '', after = ''] = TEMPLATE.exec(text) ?? [];
    this.#text = text;
    this.#before = before;
    this.#after = after;
    this.#tenants = tenants && new Set(tenants);
  }

  /** The tenant in this `iss`, where its tokens count. */
  tenantOf(iss: string): string | undefined {
    const tenant = this.anyTenantOf(iss);
    return tenant !== undefined && this.takes(tenant) ? tenant : undefined;
  }

  /** The tenant in this `iss`, whether or not its tokens count. */
  anyTenantOf(iss: string): string | undefined {
    if (!iss.startsWith(this.#before) || !iss.endsWith(this.#after)) return undefined;
    // Where the two ends overlap nothing is between them, which is no tenant.
    const tenant = iss.slice(this.#before.length, iss.length - this.#after.length);
    return TENANT.test(tenant) ? tenant : undefined;
  }

  /** Do the tokens of this tenant count? */
  takes(tenant: string): boolean {
    return this.#tenants?.has(tenant) ?? TENANT.test(tenant);
  }

  /** The `iss` of a tenant; of a well-known word such as `common`, the address that serves all tenants. */
  issuerOf(tenant: string): string {
    return `${this.#before}${tenant}${this.#after}`;
  }

  /** The same with the segment of a text that stands where the tenant should: what that text may be meant for. */
  nearestTo(text: string): string {
    return this.issuerOf(text.split('/')[this.#before.split('/').length - 1] ?? '');
  }

  /** Is this the template itself, with whatever name for the placeholder? */
  isNamedBy(text: string): boolean {
    return text.replace(PLACEHOLDER, '{tenant}') === this.#text;
  }
}

/** How the tokens of one issuer of JWTs are known. */
export interface IssuerIdentity {
  /** The exact `iss`, the template, or the configured name. The revocation list knows the whole issuer by it. */
  readonly issuer: string;
  /** Its tokens have no `iss`, and one that has any is not its own. */
  readonly withoutIss?: boolean | undefined;
  /** Of many tenants. */
  readonly tenants?: TenantRule | undefined;
}

export interface TenantRule {
  readonly template: IssuerTemplate;
  /** The claim that must be the tenant in `iss`. */
  readonly claim: ClaimPath;
}

/** Is this the `iss` of a token of this issuer? */
export function isIssOf(
  { issuer, withoutIss = false, tenants }: IssuerIdentity,
  iss: JsonValue | undefined,
): boolean {
  if (withoutIss) return iss === undefined;
  if (typeof iss !== 'string') return false;
  return tenants === undefined ? iss === issuer : tenants.template.tenantOf(iss) !== undefined;
}

/**
 * May a key that names this issuer, as some servers' JWKs do in `issuer`, have signed a token with this `iss`? Of an issuer with
 * one `iss`, a key that names another issuer has not: a provider may publish the keys of all its tenants in one set.
 */
export function isKeyFor(
  { issuer, withoutIss = false, tenants }: IssuerIdentity,
  keyIssuer: string | undefined,
  iss: JsonValue | undefined,
): boolean {
  if (keyIssuer === undefined) return true;
  if (tenants !== undefined) return keyIssuer === iss || tenants.template.isNamedBy(keyIssuer);
  return withoutIss || keyIssuer === issuer || !namesAnother(keyIssuer, issuer);
}

/** A URL without a placeholder: what is none is no issuer, and a template means all tenants. */
const ONE_ISSUER = /^https?:\/\/[^{}]+$/i;
/** Entra ID has several addresses for one tenant, and tokens of version 1.0 are signed with keys that name that of 2.0. */
const TENANT_ID = /^https:\/\/[^/]+\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\/|$)/;

function namesAnother(keyIssuer: string, issuer: string): boolean {
  if (!ONE_ISSUER.test(keyIssuer)) return false;
  const tenant = TENANT_ID.exec(issuer)?.[1];
  return tenant === undefined || TENANT_ID.exec(keyIssuer)?.[1] !== tenant;
}
