/**
 * The order in which every store lists its entries: the latest first, and a cursor for the place where a page ended.
 * `created_at` never changes, so that what is raised between two pages is neither missed nor shown twice. Pure.
 */
import type { Page, RevocationEntry } from './revocation-store.ts';

/** What decides an entry's place: when it was made, in whole seconds; its id among those of one second. */
export type ListPlace = Pick<RevocationEntry, 'createdAt' | 'id'>;

/** For sort(): negative where `a` comes before `b`. */
export function compareListed(a: ListPlace, b: ListPlace): number {
  return b.createdAt - a.createdAt || (a.id === b.id ? 0 : a.id > b.id ? -1 : 1);
}

/** Before everything. */
const LIST_START: ListPlace = { createdAt: Number.MAX_SAFE_INTEGER, id: '' };

function formatCursor({ createdAt, id }: ListPlace): string {
  return `${createdAt}.${id}`;
}

/**
 * Where the next page begins; without a cursor, the start.
 *
 * @throws RangeError where it is invalid
 */
export function parseCursor(cursor: string | undefined): ListPlace {
  if (cursor === undefined) return LIST_START;
  const [, createdAt, id] = /^(\d{1,15})\.([A-Za-z0-9_-]{1,64})$/.exec(cursor) ?? [];
  if (createdAt === undefined || id === undefined) throw new RangeError('invalid cursor');
  return { createdAt: Number(createdAt), id };
}

/**
 * The first `limit` of entries that are in this order, of which there may be more.
 *
 * @param places by which the store has put them in order, where it keeps them apart from the entries
 */
export function pageOf(
  entries: readonly RevocationEntry[],
  limit: number,
  places: readonly ListPlace[] = entries,
): Page {
  const last = places[limit - 1];
  return {
    entries: entries.slice(0, limit),
    cursor: last && entries.length > limit ? formatCursor(last) : undefined,
  };
}
