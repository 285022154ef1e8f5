/**
 * The revocation API (docs/reference.md, "Admin listener"): list, show, revoke, undo, and RFC 7009. Rules V7, I10.
 */
import { z } from 'zod';
import {
  RevocationRefused,
  isTokenFault,
  type RevocationOutcome,
  type Revoker,
} from '../revocation/revoker.ts';
import type { AuditEvent, AuditLog } from '../telemetry/audit-log.ts';
import { unpresentableText } from '../token/token-text.ts';
import type { Caller } from './caller.ts';
import type { Hold } from './confirmation.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import { badRequest, parseBody } from './json-body.ts';
import type { Change, Proofs } from './receipts.ts';
import type { ListedEntries } from './listed-entries.ts';
import {
  commandOf,
  MAX_REASON_CHARACTERS,
  revocationSchema,
  type CommandParts,
  type RevocationBody,
} from './revocation-command.ts';
import { entryJson, outcomeJson, previewJson } from './revocation-json.ts';
import { bulkJson, bulkSchema, eachInOrder, type OneRevoked } from './revocations-bulk.ts';
import { revocationsCsv } from './revocations-csv.ts';
import { searchEntries, type EntryQuery } from './revocation-search.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1_000;

const undoSchema = z.strictObject({ reason: z.string().max(MAX_REASON_CHARACTERS).optional() });

export interface RevocationsApiParts extends CommandParts {
  readonly revoker: Revoker;
  readonly store: ListedEntries;
  readonly audit: AuditLog;
  /** What an answer has beside the entries, once they are in force here. */
  readonly proofs: (changes: readonly Change[], hold: Hold) => Promise<Proofs>;
}

export class RevocationsApi {
  readonly #parts: RevocationsApiParts;

  constructor(parts: RevocationsApiParts) {
    this.#parts = parts;
  }

  /** POST /v1/revocations */
  async create(body: Buffer, caller: Caller, query: URLSearchParams): Promise<AdminResponse> {
    const parsed = parseBody(revocationSchema, body);
    if ('status' in parsed) return parsed;
    const { dry_run = false } = parsed.value;
    const hold = holdOf(query, parsed.value);
    if (typeof hold === 'object') return hold;
    const one = await this.#revokeOne(parsed.value, caller, dry_run);
    if ('refused' in one) return badRequest(one.refused);
    if ('preview' in one) return { status: 200, body: one.preview };
    const { outcome } = one;
    const status = outcome.kind === 'created' ? 201 : 200;
    const proofs = outcome.kind === 'expired' ? {} : await this.#parts.proofs([outcome.entry], hold);
    return { status, body: { ...outcomeJson(outcome), ...proofs } };
  }

  /** POST /v1/revocations/bulk */
  async bulk(body: Buffer, caller: Caller, query: URLSearchParams): Promise<AdminResponse> {
    const parsed = parseBody(bulkSchema, body);
    if ('status' in parsed) return parsed;
    const { revocations, dry_run } = parsed.value;
    const hold = holdOf(query, parsed.value);
    if (typeof hold === 'object') return hold;
    const all = await eachInOrder(revocations, (one) => this.#revokeOne(one, caller, dry_run));
    const entries = all.flatMap((one) =>
      'outcome' in one && 'version' in one.outcome.entry ? [one.outcome.entry] : [],
    );
    return { status: 200, body: { ...bulkJson(all), ...(await this.#parts.proofs(entries, hold)) } };
  }

  /** @throws Error where the store is unavailable */
  async #revokeOne(body: RevocationBody, caller: Caller, isDryRun: boolean): Promise<OneRevoked> {
    const command = commandOf(body, caller.name, this.#parts);
    if (typeof command === 'string') return { refused: command };
    try {
      if (isDryRun) return { preview: previewJson(await this.#parts.revoker.targetOf(command)) };
      const outcome = await this.#parts.revoker.revoke(command);
      this.#audit(outcome, caller);
      return { outcome };
    } catch (error) {
      if (error instanceof RevocationRefused) return { refused: error.message };
      if (!isTokenFault(error)) throw error;
      return {
        refused: 'the token is not one that this gateway could accept: no configured issuer vouches for it',
      };
    }
  }

  /**
   * POST /v1/revoke, RFC 7009: 200 also for a token that is unknown or invalid; 400 for what no request can carry. The client
   * ignores the content of a 200 (section 2.2): only one that asks to wait gets any.
   */
  async revokeForm(body: Buffer, caller: Caller, query: URLSearchParams): Promise<AdminResponse> {
    const hold = holdOf(query, {});
    if (typeof hold === 'object') return hold;
    const tokens = new URLSearchParams(body.toString('utf8')).getAll('token');
    const [token] = tokens;
    if (token === undefined || token === '' || tokens.length > 1) {
      return {
        status: 400,
        body: { error: 'invalid_request', error_description: 'exactly one token parameter is needed' },
      };
    }
    const fault = unpresentableText(token, this.#parts.mayHaveBars);
    if (fault !== undefined)
      return { status: 400, body: { error: 'invalid_request', error_description: fault } };
    try {
      const command = { token, issuerName: undefined, reason: null, createdBy: caller.name };
      const outcome = await this.#parts.revoker.revoke(command);
      this.#audit(outcome, caller);
      if (hold !== 'none' && outcome.kind !== 'expired')
        return { status: 200, body: await this.#parts.proofs([outcome.entry], hold) };
    } catch (error) {
      if (!isTokenFault(error)) throw error;
    }
    return { status: 200 };
  }

  /** GET /v1/revocations */
  async list(query: URLSearchParams): Promise<AdminResponse> {
    const limit = Number(query.get('limit') ?? DEFAULT_LIMIT);
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
      return badRequest(`limit must be 1 to ${MAX_LIMIT}`);
    try {
      const page = await searchEntries(this.#parts.store, {
        ...filterOf(query),
        limit,
        cursor: query.get('cursor') ?? undefined,
      });
      return { status: 200, body: { revocations: page.entries.map(entryJson), cursor: page.cursor ?? null } };
    } catch (error) {
      if (error instanceof RangeError) return badRequest(error.message);
      throw error;
    }
  }

  /** GET /v1/revocations.csv */
  async csv(query: URLSearchParams): Promise<AdminResponse> {
    return revocationsCsv(this.#parts.store, filterOf(query));
  }

  /** GET /v1/revocations/ID */
  async show(id: string): Promise<AdminResponse> {
    const entry = await this.#parts.store.find(id);
    return entry ? { status: 200, body: entryJson(entry) } : notFound();
  }

  /** DELETE /v1/revocations/ID; a body, where there is one, says why. 204, and 200 where there is something to say. */
  async undo(id: string, body: Buffer, caller: Caller, query: URLSearchParams): Promise<AdminResponse> {
    const hold = holdOf(query, {});
    if (typeof hold === 'object') return hold;
    const why = body.length === 0 ? { value: {} } : parseBody(undoSchema, body);
    if ('status' in why) return why;
    const entry = await this.#parts.store.find(id);
    const tombstone = entry && (await this.#parts.revoker.undo(id));
    if (!tombstone) return notFound();
    this.#parts.audit.write({
      action: 'undo',
      ...auditCaller(caller),
      entry,
      changed: true,
      undoReason: why.value.reason,
    });
    if (hold === 'none') return { status: 204 };
    const proofs = await this.#parts.proofs([{ ...tombstone, target: entry.target }], hold);
    return { status: 200, body: { id, undone: true, ...proofs } };
  }

  #audit(outcome: RevocationOutcome, caller: Caller): void {
    this.#parts.audit.write({
      action: 'revoke',
      ...auditCaller(caller),
      entry: outcome.entry,
      changed: outcome.changed,
    });
  }
}

function auditCaller({ name, address, source }: Caller): Pick<AuditEvent, 'by' | 'from' | 'source'> {
  return { by: name, from: address, source };
}

/** How the answer is held: what the query and the body say together. */
function holdOf(
  query: URLSearchParams,
  body: {
    readonly confirm?: boolean | undefined;
    readonly wait?: 'fleet' | undefined;
    readonly dry_run?: boolean | undefined;
  },
): Hold | AdminResponse {
  const wait = query.get('wait') ?? body.wait;
  if (wait !== undefined && wait !== 'fleet') return badRequest('wait must be fleet');
  const hold = wait ?? (body.confirm === true ? 'confirm' : 'none');
  return hold !== 'none' && body.dry_run === true
    ? badRequest(`${hold === 'fleet' ? 'wait' : 'confirm'} has no meaning with dry_run: nothing is revoked`)
    : hold;
}

/** What a list is narrowed to. */
function filterOf(query: URLSearchParams): Omit<EntryQuery, 'limit' | 'cursor'> {
  const given = (name: string): string | undefined => query.get(name) ?? undefined;
  return {
    subject: given('subject'),
    session: given('session'),
    client: given('client'),
    reason: given('reason'),
    by: given('by'),
  };
}

function notFound(): AdminResponse {
  return adminProblem(404, 'not_found', 'nothing is revoked under this id');
}
