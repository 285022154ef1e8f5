/** The revocation list as comma-separated values (RFC 4180): GET /v1/revocations.csv. */
import type { RevocationEntry } from '../revocation/revocation-store.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import type { ListedEntries } from './listed-entries.ts';
import { searchEntries, type EntryQuery } from './revocation-search.ts';

const PAGE_ENTRIES = 1_000;
/** Some 20 MB of text. */
const MAX_ENTRIES = 100_000;

const HEADER = [
  'id',
  'issuer',
  'kind',
  'value',
  'issued_before',
  'expires_at',
  'created_at',
  'created_by',
  'reason',
];

export async function revocationsCsv(
  store: Pick<ListedEntries, 'list'>,
  filter: Omit<EntryQuery, 'limit' | 'cursor'>,
): Promise<AdminResponse> {
  const rows: string[] = [csvRow(HEADER)];
  let cursor: string | undefined;
  do {
    const page = await searchEntries(store, { ...filter, limit: PAGE_ENTRIES, cursor });
    rows.push(...page.entries.map(rowOf));
    ({ cursor } = page);
    if (rows.length > MAX_ENTRIES)
      return adminProblem(
        400,
        'invalid_request',
        `more than ${MAX_ENTRIES} entries match; narrow them down by subject, session, client, reason or by`,
      );
  } while (cursor !== undefined);
  return {
    status: 200,
    headers: {
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': 'attachment; filename="revocations.csv"',
    },
    body: rows.join(''),
  };
}

function rowOf({
  id,
  target,
  issuedBefore,
  expiresAt,
  createdAt,
  createdBy,
  reason,
}: RevocationEntry): string {
  const { issuer, kind, value } = target ?? {};
  return csvRow([
    id,
    issuer,
    kind,
    value,
    time(issuedBefore),
    time(expiresAt),
    time(createdAt),
    createdBy,
    reason,
  ]);
}

function time(seconds: number | null): string | null {
  return seconds === null ? null : new Date(seconds * 1_000).toISOString();
}

/** A spreadsheet takes a field that begins like a formula for one: a quote in front keeps it a text. */
function csvRow(fields: readonly (string | null | undefined)[]): string {
  const cells = fields.map((field) => {
    const text = /^[=+\-@\t\r]/.test(field ?? '') ? `'${field}` : (field ?? '');
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return `${cells.join(',')}\r\n`;
}
