/** The API for stored API keys, over what outlives a reload. */
import { OTHERS_UNKNOWN } from '../admin/confirmation.ts';
import { ApiKeysApi } from '../admin/api-keys-api.ts';
import type { KnownJson } from '../admin/api-key-json.ts';
import type { Fleet } from '../admin/fleet.ts';
import type { AskedFor } from '../admin/fleet-messages.ts';
import { KeyChanges } from '../api-keys/key-changes.ts';
import type { StoredKey } from '../api-keys/stored-key.ts';
import { compareVersions, formatVersion, parseVersion } from '../revocation/mark.ts';
import type { Revoker } from '../revocation/revoker.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { ApiKeys } from './api-keys.ts';
import type { Lasting } from './generation.ts';

export function apiKeysApi({ apiKeys, fleet }: Lasting, revoker: Revoker, audit: AuditLog): ApiKeysApi {
  const { stored, uses } = apiKeys;
  return new ApiKeysApi({
    stored,
    changes: stored && new KeyChanges(stored.keys),
    uses,
    revoker,
    audit,
    knownByAll: (key) => knownByAll(fleet, key),
  });
}

/** Asks all other gateways, which look into the store for it. */
async function knownByAll(fleet: Fleet, { issuer, entry, version }: StoredKey): Promise<KnownJson> {
  const question = { issuer, id: entry.id, version: formatVersion(version) };
  const { others, silent, replies, isComplete } = await fleet.ask<'api_key'>({
    about: 'api_key',
    key: question,
  });
  const ignorant = replies.flatMap(({ label, reply }) => (reply.isKnown ? [] : [label]));
  const unconfirmed = [...silent, ...ignorant].sort();
  const know = others.length + 1 - unconfirmed.length;
  return {
    gateways: others.length + 1,
    know,
    unconfirmed: isComplete ? unconfirmed : [...unconfirmed, OTHERS_UNKNOWN],
  };
}

/** Does this gateway, with all its workers, go by this state of a key, or by a later one? */
export async function knowsKey({ stored }: ApiKeys, asked: AskedFor<'api_key'>['key']): Promise<boolean> {
  await stored?.keys.sync();
  const key = stored?.keys.book.get(asked.issuer, asked.id);
  return key !== undefined && compareVersions(key.version, parseVersion(asked.version)) >= 0;
}
