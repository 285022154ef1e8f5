/**
 * What gateways of a fleet say to each other: heartbeats, questions, replies. What comes out of the store is read by schema: another
 * version may have written it. Pure.
 */
import { z } from 'zod';
import type { SessionReport } from '../telemetry/recent-sessions.ts';
import type { Refusal } from '../telemetry/refusal-ring.ts';
import type { ReportedCaller } from '../telemetry/reported-callers.ts';
import { AUTH_REASONS } from '../errors.ts';

/** The last canary that a gateway has heard of, and how it ended there. Times in seconds; made_at since 1970. */
const canaryReport = z.object({
  id: z.string(),
  /** The label of the gateway that made it. */
  made_by: z.string(),
  /** By the store's clock. */
  made_at: z.number(),
  /** `missed`: the store has it, and this gateway does not refuse it. `unknown`: nothing could be told. */
  state: z.enum(['waiting', 'refused', 'missed', 'unknown']),
  refused_after_seconds: z.number().nullable(),
  error_seconds: z.number().nullable(),
});
export type CanaryReport = z.output<typeof canaryReport>;

/** What a gateway says of itself. Times in seconds; started_at since 1970. */
const reportSchema = z.object({
  /** The configured name, which all of one tier share. */
  name: z.string(),
  host: z.string(),
  pid: z.number(),
  version: z.string(),
  /** Processes that serve. */
  workers: z.number(),
  started_at: z.number(),
  ready: z.boolean(),
  /** Null before the revocation list was ever loaded. */
  view_age_seconds: z.number().nullable(),
  /** Where the log of the store is read to. */
  view_position: z.string().nullable(),
  config_hash: z.string(),
  /** Null before one was heard of; absent from an older version. */
  canary: canaryReport.nullable().optional().catch(undefined),
  /** Transmitters of signals that it could poll, or whose stream it could keep. Absent: a version that knows none. */
  transmitters: z.array(z.string()).optional(),
});
export type GatewayReport = z.output<typeof reportSchema>;

/** A canary that is about to be revoked. */
const heardCanary = z.object({
  digest: z.string(),
  by: z.string(),
  /** By the store's clock, since 1970. */
  atMs: z.number(),
});
export type HeardCanary = z.output<typeof heardCanary>;

const text = z.string().optional();
const limit = z.number().int();

const questionSchema = z.discriminatedUnion('about', [
  z.object({
    about: z.literal('refusals'),
    query: z.object({ requestId: text, route: text, reason: text, limit }),
  }),
  z.object({
    about: z.literal('sessions'),
    query: z.object({
      ...{ issuer: text, subject: text, subjectHash: text },
      ...{ session: text, sessionHash: text, client: text, limit },
    }),
  }),
  /** Whom would routes that only report have refused? */
  z.object({ about: z.literal('reported'), limit }),
  /** Is this state of an API key known, or a later one? */
  z.object({
    about: z.literal('api_key'),
    key: z.object({ issuer: z.string(), id: z.string(), version: z.string() }),
  }),
  /** Are these marks in force, or newer ones that revoke, too? Of one that was undone: or any newer one. */
  z.object({
    about: z.literal('marks'),
    marks: z.array(
      z.object({
        ...{ id: z.string(), timeMs: z.number(), counter: z.number() },
        undone: z.boolean().optional(),
      }),
    ),
  }),
  /** Look out for this canary. */
  z.object({ about: z.literal('canary'), canary: heardCanary }),
]);
export type Question = z.output<typeof questionSchema>;
type QuestionAbout<A extends Question['about']> = Extract<Question, { about: A }>;

/** What is said to a question. */
export interface Replies {
  readonly refusals: { readonly found: readonly Refusal[]; readonly silent: readonly string[] };
  /** Null: this gateway remembers none. */
  readonly sessions: { readonly found: readonly SessionReport[]; readonly silent: readonly string[] } | null;
  readonly reported: { readonly found: readonly ReportedCaller[]; readonly silent: readonly string[] };
  readonly marks: { readonly inForce: boolean };
  readonly api_key: { readonly isKnown: boolean };
  readonly canary: { readonly looksOut: boolean };
}

export type AskedFor<A extends Question['about']> = QuestionAbout<A>;

const silent = z.array(z.string());
const optional = z.string().optional();
const refusal = z.object({
  ...{ timeMs: z.number(), requestId: z.string(), route: z.string(), status: z.number(), code: z.string() },
  ...{
    reason: optional,
    issuer: optional,
    clientId: optional,
    subjectHash: optional,
    missingScope: optional,
    detail: optional,
    revocationId: optional,
  },
  clientIp: z.string(),
});
const session = z.object({
  issuer: z.string(),
  session: optional,
  session_hash: z.string().nullable(),
  subject: optional,
  subject_hash: z.string().nullable(),
  client_id: z.string().nullable(),
  ...{ first_seen: z.number(), last_seen: z.number(), requests_last_hour: z.number() },
  addresses: z.array(z.string()).optional(),
});
const reported = z.object({
  ...{ route: z.string(), reason: z.enum(AUTH_REASONS), issuer: optional, clientId: optional },
  ...{ lack: z.string(), requests: z.number(), lastMs: z.number() },
});
const replySchemas = {
  refusals: z.object({ found: z.array(refusal), silent }),
  sessions: z.object({ found: z.array(session), silent }).nullable(),
  reported: z.object({ found: z.array(reported), silent }),
  marks: z.object({ inForce: z.boolean() }),
  api_key: z.object({ isKnown: z.boolean() }),
  canary: z.object({ looksOut: z.boolean() }),
};

/** Announced: a question, or where it is. */
const asking = z.object({
  fleet: z.literal('ask'),
  id: z.string(),
  /** The gateway that asks. */
  from: z.string(),
  /** Absent: it lies in the box of questions, since it may name a person, or is long. */
  question: questionSchema.optional(),
});
export type Asking = z.output<typeof asking>;

const replying = z.object({ from: z.string(), reply: z.unknown() });

/** All of these give undefined for what another version, or another purpose, has written. */
export const parseReport = parser(reportSchema);
export const parseQuestion = parser(questionSchema);
export const parseAsking = parser(asking);
export const parseReplying = parser(replying);

export function parseReply<A extends Question['about']>(about: A, reply: unknown): Replies[A] | undefined {
  const parsed = replySchemas[about].safeParse(reply);
  return parsed.success ? (parsed.data as Replies[A]) : undefined;
}

function parser<T>(schema: z.ZodType<T>): (text: string) => T | undefined {
  return (text) => {
    try {
      return schema.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined;
    }
  };
}
