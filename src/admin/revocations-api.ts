/**
 * The revocation API (docs/reference.md, "Admin listener"): list, show, revoke, undo, and RFC 7009. Rules V7, I10.
 */
import { z } from 'zod';
import {
  RevocationRefused,
  isTokenFault,
  type RevocationOutcome,
  type RevokeCommand,
  type Revoker,
} from '../revocation/revoker.ts';
import { claimTargetValue, targetId, type RevocationTarget } from '../revocation/revocation-target.ts';
import type { RevocationEntry, RevocationStore } from '../revocation/revocation-store.ts';
import type { AuditEvent, AuditLog } from '../telemetry/audit-log.ts';
import { claimText } from '../token/claim-texts.ts';
import { parseStrictJson, RawNumber } from '../token/strict-json.ts';
import { unpresentableText } from '../token/token-text.ts';
import type { Caller } from './caller.ts';
import type { EntryJson, PreviewJson, RevokedJson, TargetJson } from './entry-json.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import { effectOf } from './revocation-effect.ts';
import { searchEntries } from './revocation-search.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1_000;
const MAX_REASON_CHARACTERS = 500;

const targetText = z
  .string()
  .min(1, 'must not be empty; give the value that the tokens carry')
  .max(2_048, 'must have at most 2048 characters');
/** A NumericDate in seconds, or an RFC 3339 date-time. */
const time = z.union(
  [
    z.number().min(0).max(253_402_300_799),
    z.iso.datetime({ offset: true }).transform((text) => Date.parse(text) / 1000),
  ],
  'must be a number of seconds since 1970 or an RFC 3339 date-time',
);

const requestSchema = z.strictObject({
  token: targetText.max(65_536).optional(),
  issuer: targetText.optional(),
  token_id: targetText.optional(),
  subject: targetText.optional(),
  session: targetText.optional(),
  client: targetText.optional(),
  claim: z
    .record(z.string(), z.union([targetText, z.number(), z.boolean(), z.instanceof(RawNumber)]))
    .optional(),
  issued_before: time.optional(),
  reason: z.string().max(MAX_REASON_CHARACTERS).optional(),
  allow_unknown_issuer: z.boolean().optional(),
  dry_run: z.boolean().optional(),
});
const undoSchema = z.strictObject({ reason: z.string().max(MAX_REASON_CHARACTERS).optional() });
type RevocationBody = z.output<typeof requestSchema>;

const TARGET_FIELDS = ['token', 'token_id', 'subject', 'session', 'client', 'claim'] as const;

export interface RevocationsApiParts {
  readonly revoker: Revoker;
  readonly store: RevocationStore;
  /** Claim paths by which tokens can be revoked. */
  readonly claims: readonly string[];
  /** Tokens of a validation service may have `|`. */
  readonly mayHaveBars: boolean;
  readonly audit: AuditLog;
}

export class RevocationsApi {
  readonly #parts: RevocationsApiParts;

  constructor(parts: RevocationsApiParts) {
    this.#parts = parts;
  }

  /** POST /v1/revocations */
  async create(body: Buffer, caller: Caller): Promise<AdminResponse> {
    let parsed: RevocationBody;
    try {
      parsed = requestSchema.parse(parseStrictJson(body));
    } catch (error) {
      return badRequest(error instanceof z.ZodError ? zodText(error) : 'the body is not strict JSON');
    }
    const command = this.#command(parsed, caller);
    if (typeof command === 'string') return badRequest(command);
    try {
      if (parsed.dry_run === true) {
        return { status: 200, body: previewJson(await this.#parts.revoker.targetOf(command)) };
      }
      const outcome = await this.#parts.revoker.revoke(command);
      this.#audit(outcome, caller);
      return { status: outcome.kind === 'created' ? 201 : 200, body: outcomeJson(outcome) };
    } catch (error) {
      if (error instanceof RevocationRefused) return badRequest(error.message);
      if (isTokenFault(error)) {
        return badRequest(
          'the token is not one that this gateway could accept: no configured issuer vouches for it',
        );
      }
      throw error;
    }
  }

  /** POST /v1/revoke, RFC 7009: 200 also for a token that is unknown or invalid; 400 for what no request can carry. */
  async revokeForm(body: Buffer, caller: Caller): Promise<AdminResponse> {
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
      this.#audit(await this.#parts.revoker.revoke(command), caller);
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
    const given = (name: string): string | undefined => query.get(name) ?? undefined;
    try {
      const page = await searchEntries(this.#parts.store, {
        limit,
        cursor: given('cursor'),
        subject: given('subject'),
        session: given('session'),
        client: given('client'),
        reason: given('reason'),
        by: given('by'),
      });
      return { status: 200, body: { revocations: page.entries.map(entryJson), cursor: page.cursor ?? null } };
    } catch (error) {
      if (error instanceof RangeError) return badRequest(error.message);
      throw error;
    }
  }

  /** GET /v1/revocations/ID */
  async show(id: string): Promise<AdminResponse> {
    const entry = await this.#parts.store.find(id);
    return entry ? { status: 200, body: entryJson(entry) } : notFound();
  }

  /** DELETE /v1/revocations/ID; a body, where there is one, says why. */
  async undo(id: string, body: Buffer, caller: Caller): Promise<AdminResponse> {
    const why = undoReason(body);
    if (typeof why === 'object') return why;
    const entry = await this.#parts.store.find(id);
    if (!entry || !(await this.#parts.revoker.undo(id))) return notFound();
    this.#parts.audit.write({
      action: 'undo',
      ...auditCaller(caller),
      entry,
      changed: true,
      undoReason: why,
    });
    return { status: 204 };
  }

  #command(body: RevocationBody, caller: Caller): RevokeCommand | string {
    const given = TARGET_FIELDS.filter((field) => body[field] !== undefined);
    if (given.length !== 1) return `give exactly one of ${TARGET_FIELDS.join(', ')}`;
    const shared = { reason: body.reason ?? null, createdBy: caller.name };
    if (body.token !== undefined) {
      const fault = unpresentableText(body.token, this.#parts.mayHaveBars);
      if (fault !== undefined) return fault;
      if (body.issued_before !== undefined)
        return 'issued_before has no meaning with token: it revokes that one token';
      if (body.allow_unknown_issuer !== undefined)
        return 'allow_unknown_issuer has no meaning with token: the token says who issued it';
      return { ...shared, token: body.token, issuerName: body.issuer };
    }
    if (body.issuer === undefined)
      return 'issuer is missing: the exact iss, or the configured name of the issuer';
    const issuer =
      this.#parts.revoker.resolveIssuer(body.issuer) ??
      (body.allow_unknown_issuer === true ? body.issuer : undefined);
    if (issuer === undefined)
      return 'no issuer with this iss or name is configured; correct it, or add allow_unknown_issuer: true where an issuer of opaque tokens gives them this iss';
    const target = this.#target(body, issuer);
    if (typeof target === 'string') return target;
    if (target.kind === 'token_id' && body.issued_before !== undefined) {
      return 'issued_before has no meaning with token_id: it revokes that one token';
    }
    if (target.kind === 'session' && body.issued_before !== undefined) {
      return 'issued_before has no meaning with session: it ends for good, since a refresh brings later tokens';
    }
    return { ...shared, target, issuedBefore: body.issued_before };
  }

  #target(body: RevocationBody, issuer: string): RevocationTarget | string {
    const { token_id, subject, session, client, claim } = body;
    if (token_id !== undefined) return { issuer, kind: 'token_id', value: token_id };
    if (subject !== undefined) return { issuer, kind: 'subject', value: subject };
    if (session !== undefined) return { issuer, kind: 'session', value: session };
    if (client !== undefined) return { issuer, kind: 'client', value: client };
    const [[path, value] = ['', ''], second] = Object.entries(claim ?? {});
    if (second !== undefined || path === '') return 'claim must have exactly one member: {"name": "value"}';
    if (!this.#parts.claims.includes(path)) {
      return `tokens cannot be revoked by this claim; add it to revocation.claims (configured: ${this.#parts.claims.join(', ') || 'none'})`;
    }
    return { issuer, kind: 'claim', value: claimTargetValue(path, claimText(value) ?? '') };
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

function outcomeJson(outcome: RevocationOutcome): RevokedJson {
  const { kind = 'token' } = outcome.entry.target ?? {};
  return {
    ...entryJson(outcome.entry),
    ...effectOf(kind),
    ...(outcome.kind === 'expired' ? { expired: true } : {}),
  };
}

function previewJson(target: RevocationTarget): PreviewJson {
  return {
    id: targetId(target),
    dry_run: true,
    issuer: target.issuer,
    target: targetJson(target),
    ...effectOf(target.kind),
  };
}

function entryJson(entry: Omit<RevocationEntry, 'version'>): EntryJson {
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

/** Why an entry is undone; undefined where the body does not say; a response where the body is wrong. */
function undoReason(body: Buffer): string | undefined | AdminResponse {
  if (body.length === 0) return undefined;
  try {
    return undoSchema.parse(parseStrictJson(body)).reason;
  } catch (error) {
    return badRequest(error instanceof z.ZodError ? zodText(error) : 'the body is not strict JSON');
  }
}

function zodText(error: z.ZodError): string {
  return error.issues
    .map((issue) => [issue.path.join('.'), issue.message].filter((part) => part !== '').join(': '))
    .join('; ');
}

function badRequest(detail: string): AdminResponse {
  return adminProblem(400, 'invalid_request', detail);
}

function notFound(): AdminResponse {
  return adminProblem(404, 'not_found', 'nothing is revoked under this id');
}
