/** The status lists of the issuers of one configuration: where they may be, how they are fetched, and whose keys sign them. */
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import { fetchList } from '../status-lists/fetch-list.ts';
import { IssuerLists, type ListObserver } from '../status-lists/issuer-lists.ts';
import { ListVerifier } from '../status-lists/status-list-token.ts';
import { StatusLists } from '../status-lists/status-lists.ts';
import type { AuthorizationServerClient } from '../token/authorization-server-client.ts';
import type { JwtVerifier } from '../token/jwt-verifier.ts';
import { StatusUris } from '../token/status-claim.ts';
import { serverAccess } from './server-access.ts';

export interface StatusListParts {
  readonly client: AuthorizationServerClient;
  readonly clock: Clock;
  readonly observer: ListObserver;
  /** Told when a list says something else; undefined: nothing goes on that could end. */
  readonly statusChanged?: () => void;
}

/** @param verifiers of JWTs, by issuer name: who signs the tokens signs the lists */
export function statusListsOf(
  { configuration, folder }: LoadedConfiguration,
  verifiers: ReadonlyMap<string, JwtVerifier>,
  { client, clock, observer, statusChanged: changed = () => undefined }: StatusListParts,
): StatusLists {
  const lists = new Map<string, IssuerLists>();
  for (const [name, issuer] of Object.entries(configuration.issuers)) {
    const { status_list: options } = issuer;
    const signer = verifiers.get(name);
    if (!options || !signer) continue;
    const server = client.through(serverAccess(issuer, folder));
    const policy = {
      issuerName: name,
      uris: new StatusUris(options.uris),
      required: options.required,
      refreshMs: options.refresh,
      maxAgeMs: options.max_age,
      maxLists: options.max_lists,
      maxBytes: options.max_size,
    };
    const verifier = new ListVerifier(signer.policy, signer.keys, clock);
    const fetch = (uri: string, etag: string | undefined) => fetchList(server, uri, etag);
    lists.set(name, new IssuerLists(policy, { fetch, verifier, clock, observer, changed }));
  }
  return new StatusLists(lists);
}
