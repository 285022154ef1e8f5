/**
 * What was seen lately (docs/reference.md, "Admin listener"): the history of traffic, the latest refusals, recent sessions. A
 * subject is looked for by POST, so that it is in no URL and no log. Rule A5.
 */
import { z } from 'zod';
import type { Refusal, RefusalQuery } from '../telemetry/refusal-ring.ts';
import { RING_ENTRIES } from '../telemetry/refusal-ring.ts';
import type { SessionQuery, SessionReport } from '../telemetry/recent-sessions.ts';
import type { HistoryReport } from '../telemetry/traffic-history.ts';
import { historyJson } from './history-json.ts';
import { adminProblem, type AdminResponse } from './http-response.ts';
import { badRequest, parseBody } from './json-body.ts';

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
}

export interface SeenApiParts {
  /** The name of this gateway. */
  readonly gateway: string;
  readonly seen: LocalSeen;
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

/** Who was asked, and who did not respond. */
interface AskedJson {
  readonly asked: readonly string[];
  readonly silent: readonly string[];
}

export class SeenApi {
  readonly #parts: SeenApiParts;

  constructor(parts: SeenApiParts) {
    this.#parts = parts;
  }

  /** GET /v1/history */
  async history(): Promise<AdminResponse> {
    const { gateway, seen } = this.#parts;
    return { status: 200, body: historyJson(gateway, await seen.localHistory()) };
  }

  /** GET /v1/refusals */
  async refusals(query: URLSearchParams): Promise<AdminResponse> {
    const { gateway, seen } = this.#parts;
    const limit = Number(query.get('limit') ?? DEFAULT_LIMIT);
    if (!Number.isInteger(limit) || limit < 1 || limit > RING_ENTRIES)
      return badRequest(`limit must be 1 to ${RING_ENTRIES}`);
    // A form sends what was not filled in as empty.
    const given = (name: string): string | undefined => query.get(name) || undefined;
    const { found, silent } = await seen.localRefusals({
      requestId: given('request_id'),
      route: given('route'),
      reason: given('reason'),
      limit,
    });
    return {
      status: 200,
      body: {
        gateways: this.#asked(silent),
        refusals: found.map((refusal) => refusalJson(gateway, refusal)),
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
    const sessions = await this.#parts.seen.localSessions({
      issuer,
      subject,
      subjectHash: subject_hash,
      session,
      sessionHash: session_hash,
      client,
      limit,
    });
    if (sessions === undefined)
      return adminProblem(
        409,
        'sessions_off',
        'this gateway remembers no sessions; set sessions: hashed in its configuration, and reload it',
      );
    const { found, silent } = sessions;
    const gateways = [this.#parts.gateway];
    return {
      status: 200,
      body: { gateways: this.#asked(silent), sessions: found.map((session) => ({ gateways, ...session })) },
    };
  }

  /** @param silent processes of this gateway that did not respond */
  #asked(silent: readonly string[]): AskedJson {
    const { gateway } = this.#parts;
    return { asked: [gateway], silent: silent.map((process) => `${gateway} ${process}`) };
  }
}

/** Times are seconds since 1970; what is not known is null. */
function refusalJson(gateway: string, refusal: Refusal): object {
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
    client_ip: refusal.clientIp,
  };
}
