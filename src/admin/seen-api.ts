/**
 * What was seen lately (docs/reference.md, "Admin listener"): the history of traffic, the latest refusals, recent sessions. A
 * subject is looked for by POST, so that it is in no URL and no log. Rule A5.
 */
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { causeText } from '../revocation/cause.ts';
import type { Causes } from '../revocation/causes.ts';
import type { Refusal, RefusalQuery } from '../telemetry/refusal-ring.ts';
import { RING_ENTRIES } from '../telemetry/refusal-ring.ts';
import type { LimitedCaller } from '../telemetry/limited-callers.ts';
import type { ReportedCaller } from '../telemetry/reported-callers.ts';
import type { SessionQuery, SessionReport } from '../telemetry/recent-sessions.ts';
import type { HistoryReport } from '../telemetry/traffic-history.ts';
import type { Asked, Fleet } from './fleet.ts';
import type { Replies } from './fleet-messages.ts';
import { historyJson } from './history-json.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import { badRequest, parseBody } from './json-body.ts';
import { mergedReported } from './merged-counts.ts';
import { mergedByGateway } from './merged-sessions.ts';

/** What was found, and which processes of the gateway did not respond. */
export interface Found<T> {
  readonly found: readonly T[];
  readonly silent: readonly string[];
}

/** What all processes of this gateway have seen. What they take and give is plain data. */
export interface LocalSeen {
  /** One for each process. */
  localHistory(): Promise<readonly HistoryReport[]>;
  /** The latest first. */
  localRefusals(query: RefusalQuery): Promise<Found<Refusal>>;
  /** The latest first; undefined where the configuration says `sessions: off`. */
  localSessions(query: SessionQuery): Promise<Found<SessionReport> | undefined>;
  /** Those with the most requests first. */
  localLimited(limit: number): Promise<Found<LimitedCaller>>;
  /** Those with the most requests first. */
  localReported(limit: number): Promise<Found<ReportedCaller>>;
}

export interface SeenApiParts {
  readonly fleet: Fleet;
  readonly seen: LocalSeen;
  readonly causes: Pick<Causes, 'soon'>;
  readonly clock: Clock;
}

const DEFAULT_LIMIT = 100;

const searched = z.string().min(1, 'must not be empty').max(8_192, 'must have at most 8192 characters');
const searchSchema = z.strictObject({
  issuer: searched.optional(),
  subject: searched.optional(),
  subject_hash: searched.optional(),
  session: searched.optional(),
  session_hash: searched.optional(),
  client: searched.optional(),
  limit: z.number().int().min(1).max(RING_ENTRIES).default(DEFAULT_LIMIT),
});

const SEARCHED = ['subject', 'subject_hash', 'session', 'session_hash', 'client'] as const;

/** Which gateways were asked, and which did not respond. */
interface AskedJson {
  readonly asked: readonly string[];
  readonly silent: readonly string[];
  /** False: the store is unavailable, and other gateways are not known. */
  readonly complete: boolean;
}

export class SeenApi {
  readonly #parts: SeenApiParts;

  constructor(parts: SeenApiParts) {
    this.#parts = parts;
  }

  /** GET /v1/history */
  async history(): Promise<AdminResponse> {
    const { fleet, seen } = this.#parts;
    return { status: 200, body: historyJson(fleet.label, await seen.localHistory()) };
  }

  /** GET /v1/refusals */
  async refusals(parameters: URLSearchParams): Promise<AdminResponse> {
    const { fleet, seen } = this.#parts;
    const limit = limitOf(parameters);
    if (limit === undefined) return BAD_LIMIT;
    // A form sends what was not filled in as empty.
    const given = (name: string): string | undefined => parameters.get(name) || undefined;
    const query = {
      requestId: given('request_id'),
      route: given('route'),
      reason: given('reason'),
      limit,
    };
    const where = given('gateways') ?? (query.requestId === undefined ? 'this' : 'all');
    if (where !== 'this' && where !== 'all') return badRequest('gateways must be this or all');
    const [own, asked] = await Promise.all([
      seen.localRefusals(query),
      where === 'all'
        ? fleet.ask<'refusals'>({ about: 'refusals', query })
        : alone<Replies['refusals']>(fleet),
    ]);
    const found = [
      ...own.found.map((refusal) => ({ gateway: asked.self, refusal })),
      ...asked.replies.flatMap(({ label, reply }) =>
        reply.found.map((refusal) => ({ gateway: label, refusal })),
      ),
    ].sort((one, other) => other.refusal.timeMs - one.refusal.timeMs);
    const shown = found.slice(0, limit);
    const causes = await this.#causesOf(shown.map(({ refusal }) => refusal));
    return {
      status: 200,
      body: {
        gateways: askedJson(asked, own.silent, ({ silent }) => silent),
        refusals: shown.map(({ gateway, refusal }) => refusalJson(gateway, refusal, causes)),
      },
    };
  }

  /** Why tokens were revoked, in words, by the id of the entry: of the entries that are still there, and are soon known. */
  async #causesOf(refusals: readonly Refusal[]): Promise<ReadonlyMap<string, string>> {
    const { causes, clock } = this.#parts;
    const ids = new Set(refusals.flatMap(({ revocationId }) => revocationId ?? []));
    const texts = await Promise.all(
      [...ids].map(async (id): Promise<[string, string][]> => {
        const cause = await causes.soon(id);
        return cause ? [[id, causeText(cause, clock.nowMs())]] : [];
      }),
    );
    return new Map(texts.flat());
  }

  /** GET /v1/limited */
  async limited(parameters: URLSearchParams): Promise<AdminResponse> {
    const limit = limitOf(parameters);
    if (limit === undefined) return BAD_LIMIT;
    const { fleet, seen } = this.#parts;
    const { found, silent } = await seen.localLimited(limit);
    return { status: 200, body: { gateway: fleet.label, silent, callers: found.map(limitedJson) } };
  }

  /** GET /v1/report-only */
  async reported(parameters: URLSearchParams): Promise<AdminResponse> {
    const limit = limitOf(parameters);
    if (limit === undefined) return BAD_LIMIT;
    const where = parameters.get('gateways') || 'this';
    if (where !== 'this' && where !== 'all') return badRequest('gateways must be this or all');
    const { fleet, seen } = this.#parts;
    // One client may be among the first of all, and not of each.
    const [own, asked] = await Promise.all([
      seen.localReported(RING_ENTRIES),
      where === 'all'
        ? fleet.ask<'reported'>({ about: 'reported', limit: RING_ENTRIES })
        : alone<Replies['reported']>(fleet),
    ]);
    const found = mergedReported([...asked.replies.flatMap(({ reply }) => reply.found), ...own.found]);
    return {
      status: 200,
      body: {
        gateways: askedJson(asked, own.silent, ({ silent }) => silent),
        reported: found.slice(0, limit).map(reportedJson),
      },
    };
  }

  /** POST /v1/sessions/search */
  async sessions(body: Buffer): Promise<AdminResponse> {
    const parsed = parseBody(searchSchema, body);
    if ('status' in parsed) return parsed;
    const { issuer, subject, subject_hash, session, session_hash, client, limit } = parsed.value;
    if (SEARCHED.filter((name) => parsed.value[name] !== undefined).length !== 1)
      return badRequest(`give exactly one of ${SEARCHED.join(', ')}`);
    const query = {
      ...{ issuer, subject, session, client, limit },
      subjectHash: subject_hash,
      sessionHash: session_hash,
    };
    const { fleet, seen } = this.#parts;
    const own = await seen.localSessions(query);
    if (own === undefined)
      return adminProblem(
        409,
        'sessions_off',
        'this gateway remembers no sessions; set sessions: hashed in its configuration, and reload it',
      );
    const asked = await fleet.ask<'sessions'>({ about: 'sessions', query });
    const sessions = mergedByGateway([
      { gateway: asked.self, sessions: own.found },
      ...asked.replies.map(({ label, reply }) => ({ gateway: label, sessions: reply?.found ?? [] })),
    ]);
    return {
      status: 200,
      body: {
        // One that remembers none cannot say that it has seen none.
        gateways: askedJson(asked, own.silent, (reply) => reply?.silent ?? ['remembers no sessions']),
        sessions: sessions.slice(0, limit),
      },
    };
  }
}

const BAD_LIMIT = badRequest(`limit must be 1 to ${RING_ENTRIES}`);

function limitOf(parameters: URLSearchParams): number | undefined {
  const limit = Number(parameters.get('limit') ?? DEFAULT_LIMIT);
  return Number.isInteger(limit) && limit >= 1 && limit <= RING_ENTRIES ? limit : undefined;
}

/** Nothing is asked. */
function alone<T>(fleet: Fleet): Asked<T> {
  return { self: fleet.label, others: [], silent: [], isComplete: true, replies: [] };
}

/**
 * @param ownSilent processes of this gateway that did not respond
 * @param silentOf the same of another one
 */
function askedJson<T>(
  { self, others, silent, isComplete, replies }: Asked<T>,
  ownSilent: readonly string[],
  silentOf: (reply: T) => readonly string[],
): AskedJson {
  const parts = [
    { label: self, silent: ownSilent },
    ...replies.map(({ label, reply }) => ({ label, silent: silentOf(reply) })),
  ];
  return {
    asked: [self, ...others],
    silent: [...silent, ...parts.flatMap((part) => part.silent.map((which) => `${part.label} ${which}`))],
    complete: isComplete,
  };
}

function limitedJson({ clientId, subjectHash, clientIp, lastMs, issuer, ...caller }: LimitedCaller): object {
  return {
    ...caller,
    issuer: issuer ?? null,
    client_id: clientId ?? null,
    sub_hash: subjectHash ?? null,
    client_ip: clientIp ?? null,
    last_seen: lastMs / 1_000,
  };
}

function reportedJson({ clientId, issuer, lack, lastMs, ...reported }: ReportedCaller): object {
  return {
    ...reported,
    issuer: issuer ?? null,
    client_id: clientId ?? null,
    lack: lack === '' ? null : lack,
    last_seen: lastMs / 1_000,
  };
}

/** Times are seconds since 1970; what is not known is null. */
function refusalJson(gateway: string, refusal: Refusal, causes: ReadonlyMap<string, string>): object {
  const { revocationId: id } = refusal;
  return {
    time: refusal.timeMs / 1_000,
    gateway,
    request_id: refusal.requestId,
    route: refusal.route,
    status: refusal.status,
    reason: refusal.reason ?? null,
    code: refusal.code,
    issuer: refusal.issuer ?? null,
    client_id: refusal.clientId ?? null,
    sub_hash: refusal.subjectHash ?? null,
    missing_scope: refusal.missingScope ?? null,
    detail: refusal.detail ?? null,
    revocation: id === undefined ? null : { id, cause: causes.get(id) ?? null },
    client_ip: refusal.clientIp,
  };
}
