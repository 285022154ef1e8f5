/** Entries of the revocation list as the API sends them. Pure. */
import type { RevocationEntry } from '../revocation/revocation-store.ts';
import { targetId, type RevocationTarget } from '../revocation/revocation-target.ts';
import type { RevocationOutcome } from '../revocation/revoker.ts';
import type { EntryJson, PreviewJson, RevokedJson, TargetJson } from './entry-json.ts';
import { effectOf } from './revocation-effect.ts';

export function outcomeJson(outcome: RevocationOutcome): RevokedJson {
  const { kind = 'token' } = outcome.entry.target ?? {};
  return {
    ...entryJson(outcome.entry),
    ...effectOf(kind),
    ...(outcome.kind === 'expired' ? { expired: true } : {}),
  };
}

export function previewJson(target: RevocationTarget): PreviewJson {
  return {
    id: targetId(target),
    dry_run: true,
    issuer: target.issuer,
    target: targetJson(target),
    ...effectOf(target.kind),
  };
}

export function entryJson(entry: Omit<RevocationEntry, 'version'>): EntryJson {
  return {
    id: entry.id,
    issuer: entry.target?.issuer ?? null,
    target: entry.target ? targetJson(entry.target) : null,
    issued_before: entry.issuedBefore,
    expires_at: entry.expiresAt,
    created_at: entry.createdAt,
    created_by: entry.createdBy,
    reason: entry.reason,
  };
}

function targetJson({ kind, value }: RevocationTarget): TargetJson {
  if (kind === 'token') return { token_sha256: value };
  if (kind !== 'claim') return { [kind]: value };
  const [path, text] = JSON.parse(value) as [string, string];
  return { claim: { [path]: text } };
}
