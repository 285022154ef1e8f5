/** The API of stored API keys (docs/reference.md, "Admin listener"): create, list, show, rotate, revoke. Rules V7, V13, X1, X3. */
import { KeyChangeRefused, type KeyChanges } from '../api-keys/key-changes.ts';
import { keyName, type ApiKeyStore } from '../api-keys/api-key-store.ts';
import type { LastUses } from '../api-keys/last-uses.ts';
import { stateOf, type StoredKey } from '../api-keys/stored-key.ts';
import type { StoredKeys } from '../api-keys/stored-keys.ts';
import type { Revoker } from '../revocation/revoker.ts';
import type { ApiKeyAction, AuditLog } from '../telemetry/audit-log.ts';
import { createSchema, endSchema, rightsOf, rotateSchema } from './api-key-bodies.ts';
import type { ApiKeyJson, KnownJson } from './api-key-json.ts';
import { compareKeys, filterOf, matches, pageOfKeys } from './api-key-search.ts';
import type { Caller } from './caller.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import { badRequest, parseBody } from './json-body.ts';

const DEFAULT_OVERLAP_SECONDS = 86_400;

/** Which gateways go by this state of a key. */
export type KnownByAll = (key: StoredKey) => Promise<KnownJson>;

export interface ApiKeysApiParts {
  /** Undefined where this process has no store. */
  readonly stored: { readonly keys: StoredKeys; readonly store: ApiKeyStore } | undefined;
  readonly changes: KeyChanges | undefined;
  readonly uses: LastUses;
  readonly revoker: Pick<Revoker, 'revoke'>;
  readonly audit: AuditLog;
  readonly knownByAll: KnownByAll;
}

export class ApiKeysApi {
  readonly #parts: ApiKeysApiParts;

  constructor(parts: ApiKeysApiParts) {
    this.#parts = parts;
  }

  /** POST /v1/api-keys: 201 once the store has it. */
  async create(body: Buffer, caller: Caller): Promise<AdminResponse> {
    const parsed = parseBody(createSchema, body);
    if ('status' in parsed) return parsed;
    const { issuer } = parsed.value;
    const { keys, changes } = this.#at(issuer);
    if (!keys || !changes) return badRequest(NO_SUCH_ISSUER);
    const rights = rightsOf(parsed.value, (await keys.nowMs()) / 1000);
    if (typeof rights === 'string') return badRequest(rights);
    return refusable(async () => {
      const { secret, key } = await changes.create(issuer, rights, caller.name);
      this.#audit('create_api_key', key, caller);
      const confirmed = await this.#parts.knownByAll(key);
      return { status: 201, body: { key: secret, ...(await this.#json(key)), confirmed } };
    });
  }

  /** GET /v1/api-keys */
  async list(query: URLSearchParams): Promise<AdminResponse> {
    const keys = this.#parts.stored?.keys;
    const filter = filterOf(query);
    if (typeof filter === 'string') return badRequest(filter);
    const nowSeconds = await this.#refreshed();
    const found = [...(keys?.book.keys() ?? [])]
      .filter((key) => matches(key, filter, nowSeconds))
      .sort(compareKeys);
    const page = pageOfKeys(found, filter);
    const uses = await this.#lastUses(page.keys);
    return {
      status: 200,
      body: {
        issuers: keys?.issuers ?? [],
        current: keys?.isCurrent ?? false,
        api_keys: page.keys.map((key, index) => keyJson(key, uses[index], nowSeconds)),
        cursor: page.cursor ?? null,
      },
    };
  }

  /** GET /v1/api-keys/ISSUER/ID */
  async show(name: string): Promise<AdminResponse> {
    const [issuer, id] = partsOf(name);
    await this.#refreshed();
    const key = this.#at(issuer).keys?.book.get(issuer, id);
    return key ? { status: 200, body: await this.#json(key) } : notFound();
  }

  /** POST /v1/api-keys/ISSUER/ID/rotate: 201 once the store has both. */
  async rotate(name: string, body: Buffer, caller: Caller): Promise<AdminResponse> {
    const [issuer, id] = partsOf(name);
    const parsed = body.length === 0 ? { value: {} } : parseBody(rotateSchema, body);
    if ('status' in parsed) return parsed;
    const {
      overlap = DEFAULT_OVERLAP_SECONDS,
      expires,
    }: { overlap?: number | undefined; expires?: number | undefined } = parsed.value;
    const { keys, changes } = this.#at(issuer);
    if (!keys || !changes) return notFound();
    if (expires !== undefined && expires <= (await keys.nowMs()) / 1000) return badRequest(EXPIRED);
    return refusable(async () => {
      let confirmed: KnownJson | undefined;
      const known = async (key: StoredKey): Promise<void> => {
        confirmed = await this.#parts.knownByAll(key);
      };
      const rotated = await changes.rotate(issuer, id, { overlap, expires, by: caller.name }, known);
      if (!rotated) return notFound();
      const { secret, key, before } = rotated;
      this.#audit('rotate_api_key', key, caller, before.entry.id);
      const [after, old] = [await this.#json(key), await this.#json(before)];
      return { status: 201, body: { key: secret, ...after, confirmed, before: old } };
    });
  }

  /** DELETE /v1/api-keys/ISSUER/ID: 200 means that it is refused from now on. A body, where there is one, says why. */
  async revoke(name: string, body: Buffer, caller: Caller): Promise<AdminResponse> {
    const [issuer, id] = partsOf(name);
    const why = body.length === 0 ? { value: {} } : parseBody(endSchema, body);
    if ('status' in why) return why;
    const { reason }: { reason?: string | undefined } = why.value;
    const { changes } = this.#at(issuer);
    const revoked = await changes?.revoke(issuer, id, caller.name, reason);
    if (!revoked) return notFound();
    const { key, changed } = revoked;
    if (changed) this.#audit('revoke_api_key', key, caller);
    // The tombstone ends it for good; the entry in the list of revocations ends it at once, with what it has opened.
    await this.#parts.revoker.revoke({
      target: { issuer, kind: 'token_id', value: id },
      issuedBefore: undefined,
      reason: reason ?? null,
      createdBy: caller.name,
    });
    const confirmed = await this.#parts.knownByAll(key);
    return { status: 200, body: { ...(await this.#json(key)), confirmed } };
  }

  #at(issuer: string): { readonly keys?: StoredKeys; readonly changes?: KeyChanges } {
    const { stored, changes } = this.#parts;
    return stored?.keys.issuers.includes(issuer) && changes ? { keys: stored.keys, changes } : {};
  }

  /** What the store has now, where it responds; else what is known. @returns the time in seconds */
  async #refreshed(): Promise<number> {
    const { stored } = this.#parts;
    if (!stored || stored.keys.issuers.length === 0) return 0;
    try {
      await stored.keys.sync();
      return (await stored.store.nowMs()) / 1000;
    } catch {
      return stored.keys.wallMs() / 1000;
    }
  }

  async #json(key: StoredKey): Promise<ApiKeyJson> {
    const [usedAt] = await this.#lastUses([key]);
    const nowSeconds = (this.#parts.stored?.keys.wallMs() ?? 0) / 1000;
    return keyJson(key, usedAt, nowSeconds);
  }

  /** As the store knows it, and as this gateway does. */
  async #lastUses(keys: readonly StoredKey[]): Promise<readonly (number | undefined)[]> {
    const names = keys.map(({ issuer, entry }) => keyName(issuer, entry.id));
    const stored = (await this.#parts.stored?.store.lastUses(names).catch(() => undefined)) ?? [];
    return names.map((name, index) => {
      const own = this.#parts.uses.of(name);
      const other = stored[index];
      return own === undefined || other === undefined ? (own ?? other) : Math.max(own, other);
    });
  }

  #audit(action: ApiKeyAction, { issuer, entry, end }: StoredKey, caller: Caller, replaces?: string): void {
    this.#parts.audit.apiKeyChanged({
      action,
      by: caller.name,
      from: caller.address,
      issuer,
      id: entry.id,
      ...(replaces !== undefined && { replaces }),
      ...(action !== 'revoke_api_key' && { scopes: entry.scopes, expires_at: entry.expires ?? null }),
      ...(end?.reason !== undefined && { reason: end.reason }),
    });
  }
}

const NO_SUCH_ISSUER =
  'no issuer of this name keeps its keys in the store; correct issuer, or set api_keys.store: true for it';
const EXPIRED = 'expires is in the past; leave it out, or give a later time';

/** What makes no sense as things are is 409, and changes nothing. */
async function refusable(change: () => Promise<AdminResponse>): Promise<AdminResponse> {
  try {
    return await change();
  } catch (error) {
    if (error instanceof KeyChangeRefused) return adminProblem(409, 'conflict', error.message);
    throw error;
  }
}

function notFound(): AdminResponse {
  return adminProblem(404, 'not_found', 'the store has no API key with this id of this issuer');
}

function partsOf(name: string): [issuer: string, id: string] {
  const slash = name.indexOf('/');
  return [name.slice(0, slash), name.slice(slash + 1)];
}

function keyJson(key: StoredKey, usedAt: number | undefined, nowSeconds: number): ApiKeyJson {
  const { issuer, entry, createdBy, end, replacedBy } = key;
  return {
    issuer,
    id: entry.id,
    state: stateOf(key, nowSeconds),
    subject: entry.subject ?? null,
    client: entry.client ?? null,
    scopes: entry.scopes,
    claims: entry.claims,
    note: entry.note ?? null,
    created_at: entry.created ?? null,
    created_by: createdBy,
    expires_at: entry.expires ?? null,
    last_used_at: usedAt ?? null,
    replaced_by: replacedBy ?? null,
    revoked_at: end?.at ?? null,
    revoked_by: end?.by ?? null,
    reason: end?.reason ?? null,
  };
}
