/** What a request gets, as a log tells it and as a rehearsal finds it: the two are compared. Pure. */
import type { GatewayError } from '../errors.ts';

export interface Outcome {
  /** Name of the route; `unmatched`. */
  readonly route: string;
  /** `own`: the gateway serves it itself, before all routes. */
  readonly verdict: 'passes' | 'refused' | 'own';
  readonly status: number | undefined;
  /** Of a refusal. */
  readonly code: string | undefined;
  /** Of a refusal that is a decision about a caller. */
  readonly reason: string | undefined;
  /** It passes since its route only reports: why it would be refused. */
  readonly reported: string | undefined;
  /** The upstreams that it may go to; empty: it goes to none, or that is not known. */
  readonly upstreams: readonly string[];
}

/** Why a request cannot be decided from what the log holds. */
export const WHY_UNDECIDED = {
  head: 'the head could not be read, and the line has no path',
  altered: 'the path or the method in the line is cut, or an API key was taken out of it',
  failed: 'the gateway was overloaded or failed, or the client left before the decision',
  outage: 'an authorization server or a store was unavailable',
  limits: 'a limit refused it, and limits are not counted again',
  size: 'its identity headers were too large: how large they are is not in the log',
  own: 'the gateway responded to it itself: what a route would say of it is not known',
  preflight: "it may be a browser's preflight: its headers are not in the log",
  headers: 'routes are chosen by headers, which are not in the log',
  credentials: 'which credentials it brought is not in the log',
  token: 'its credentials were refused: whether the new file accepts them is not known',
  issuer: 'the issuer of its token, or what a route asks of it, is another one or has changed',
  possession: 'what a proof or a certificate must say may have changed',
  scopes: 'which scopes its token has is not in the log',
  claims: 'which claim rules its token keeps is not in the log',
  login: 'how its user has logged in is not in the log',
} as const;
export type WhyUndecided = keyof typeof WHY_UNDECIDED;

export class Undecided {
  readonly why: WhyUndecided;

  constructor(why: WhyUndecided) {
    this.why = why;
  }
}

/** The reason of a report that is not known, because a claim decides it: the request passes either way. */
export const REPORT_UNKNOWN = 'unknown';

export function refusedWith({ status, code, reason }: GatewayError, route: string): Outcome {
  return { route, verdict: 'refused', status, code, reason, reported: undefined, upstreams: [] };
}

export function passing(route: string, upstreams: readonly string[], reported?: string): Outcome {
  return {
    ...{ route, verdict: 'passes', status: undefined, code: undefined, reason: undefined },
    ...{ reported, upstreams },
  };
}

export function servedItself(): Outcome {
  return { ...passing('unmatched', []), verdict: 'own' };
}

/** Do clients see the same? Where it goes is another question. */
export function isSame(one: Outcome, other: Outcome): boolean {
  return (
    one.route === other.route &&
    one.verdict === other.verdict &&
    one.code === other.code &&
    one.reason === other.reason
  );
}

/** What is true of both; undefined where they differ in what clients see. */
export function common(one: Outcome, other: Outcome): Outcome | undefined {
  if (!isSame(one, other)) return undefined;
  return one.reported === other.reported ? one : { ...one, reported: REPORT_UNKNOWN };
}

/** Does it surely go to another upstream than before? */
export function isElsewhere(before: Outcome, after: Outcome): boolean {
  const [known] = before.upstreams;
  return known !== undefined && after.upstreams.length > 0 && !after.upstreams.includes(known);
}
