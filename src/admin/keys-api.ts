/** The key sets of the admin API: an operator forces a fetch, on every gateway. Rules K0, K5. */
import type { Configuration } from '../config/schema.ts';
import { keyIds, type KeyRefresh, type KeyRefreshOutcome } from './key-refresh.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { RefreshedKeySet } from '../token/key-set.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import type { Caller } from './caller.ts';

export interface KeysApiParts {
  readonly issuers: Configuration['issuers'];
  /** Key sets behind a URL, by issuer name. */
  readonly keySets: ReadonlyMap<string, RefreshedKeySet>;
  readonly refresh: KeyRefresh;
  readonly audit: AuditLog;
}

export class KeysApi {
  readonly #parts: KeysApiParts;

  constructor(parts: KeysApiParts) {
    this.#parts = parts;
  }

  /** POST /v1/issuers/NAME/keys/refresh: 200 once every gateway has fetched; 502 where one has not. */
  async refresh(name: string, caller: Caller): Promise<AdminResponse> {
    const { issuers, keySets, refresh, audit } = this.#parts;
    const issuer = Object.hasOwn(issuers, name) ? issuers[name] : undefined;
    if (!issuer) return adminProblem(404, 'not_found', 'no issuer of this name is configured');
    const keys = keySets.get(name);
    if (!keys) {
      return adminProblem(
        409,
        'no_remote_keys',
        'the keys of this issuer do not come from a URL; change the configuration, and reload it',
      );
    }
    const outcome = await refresh.refresh(issuer.introspection ? name : (issuer.issuer ?? name), keys);
    const { change, done, failed, isTold } = outcome;
    const added = keyIds(change.added);
    const removed = keyIds(change.removed);
    audit.keysRefreshed({
      by: caller.name,
      from: caller.address,
      issuer: name,
      fetched: change.fetched,
      added,
      removed,
      gateways: { done, failed },
    });
    if (change.fetched && failed === 0 && isTold)
      return { status: 200, body: { issuer: name, added, removed, gateways: { done } } };
    return adminProblem(502, 'keys_not_refreshed', failureText(outcome, keys.available));
  }
}

/** One remedy for each failure: what it is that has to be looked at. */
function failureText({ change, done, failed, isTold }: KeyRefreshOutcome, areKnown: boolean): string {
  if (!isTold) {
    const own = change.fetched ? 'this gateway has fetched the keys' : 'the keys cannot be fetched here';
    return `${own}, but the revocation store did not take the message for the others; repeat it once the store is back`;
  }
  return change.fetched
    ? `${done} of ${done + failed} gateways have fetched the keys; look at the logs of the others, and repeat it`
    : `the keys cannot be fetched, and ${areKnown ? 'those before stay in use' : 'none are known'}; the log says why`;
}
