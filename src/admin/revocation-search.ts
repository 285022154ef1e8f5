/**
 * Entries of the revocation list by what they revoke, why, and who made them. Stores find by subject alone; the rest is looked for
 * here, page by page. A search that meets few matches stops after SCANNED_ENTRIES, with a cursor to go on from.
 */
import { pageOf } from '../revocation/list-cursor.ts';
import type { Page, RevocationEntry } from '../revocation/revocation-store.ts';
import type { ListedEntries } from './listed-entries.ts';

/** Members that are undefined match all. */
export interface EntryQuery {
  readonly cursor: string | undefined;
  readonly limit: number;
  readonly subject: string | undefined;
  readonly session: string | undefined;
  readonly client: string | undefined;
  /** A part of it, in upper or lower case. */
  readonly reason: string | undefined;
  /** A part of the name of its maker, in upper or lower case. */
  readonly by: string | undefined;
}

/** Entries that one search looks at. */
const SCANNED_ENTRIES = 5_000;
const BATCH_ENTRIES = 500;

/** @throws RangeError where the cursor is none */
export async function searchEntries(store: Pick<ListedEntries, 'list'>, query: EntryQuery): Promise<Page> {
  const { limit, subject } = query;
  const isFiltered = [query.session, query.client, query.reason, query.by].some((text) => text !== undefined);
  const size = isFiltered ? BATCH_ENTRIES : limit;
  const found: RevocationEntry[] = [];
  let { cursor } = query;
  for (let looked = 0; looked < SCANNED_ENTRIES && found.length <= limit; looked += size) {
    const page = await store.list({
      limit: size,
      ...(cursor === undefined ? {} : { cursor }),
      ...(subject === undefined ? {} : { subject }),
    });
    found.push(...page.entries.filter((entry) => matches(entry, query)));
    ({ cursor } = page);
    if (!isFiltered || cursor === undefined) break;
  }
  return found.length > limit ? pageOf(found, limit) : { entries: found, cursor };
}

function matches({ target, reason, createdBy }: RevocationEntry, query: EntryQuery): boolean {
  const isOf = (kind: 'session' | 'client', value: string | undefined): boolean =>
    value === undefined || (target?.kind === kind && target.value === value);
  return (
    isOf('session', query.session) &&
    isOf('client', query.client) &&
    hasPart(reason ?? '', query.reason) &&
    hasPart(createdBy, query.by)
  );
}

function hasPart(text: string, part: string | undefined): boolean {
  return part === undefined || text.toLowerCase().includes(part.toLowerCase());
}
