/** What a rehearsal has found, counted: changes by route, client and reason; what is not decidable, by why. Bounded. Pure. */
import type { LoggedRequest } from './logged-request.ts';
import {
  isElsewhere,
  isSame,
  REPORT_UNKNOWN,
  Undecided,
  type Outcome,
  type WhyUndecided,
} from './outcome.ts';
import type { Verdict } from './rehearsal.ts';

/** Groups of each kind; a client that makes up names fills no memory. */
const MOST_GROUPS = 1_000;
const MOST_BROKEN = 10;

/** A place in the log. */
export interface Example {
  readonly line: number;
  readonly method: string;
  readonly path: string;
}

export interface Group {
  readonly before: Outcome;
  readonly after: Outcome;
  /** Configured name of the issuer, and client, where the line has them. */
  readonly issuer: string | undefined;
  readonly clientId: string | undefined;
  /** Lines, and the requests that these stand for. */
  lines: number;
  requests: number;
  readonly example: Example;
}

export interface Count {
  lines: number;
  requests: number;
  readonly example: Example;
}

class Groups {
  readonly #groups = new Map<string, Group>();
  /** Lines of groups for which there was no room. */
  beyond = 0;

  add(before: Outcome, after: Outcome, { auth, standsFor }: LoggedRequest, example: Example): void {
    const { issuer, clientId } = auth ?? {};
    const key = JSON.stringify([...partsOf(before), ...partsOf(after), issuer, clientId]);
    let group = this.#groups.get(key);
    if (!group) {
      if (this.#groups.size >= MOST_GROUPS) {
        this.beyond++;
        return;
      }
      group = { before, after, issuer, clientId, lines: 0, requests: 0, example };
      this.#groups.set(key, group);
    }
    group.lines++;
    group.requests += standsFor;
  }

  /** Those with the most requests first. */
  get list(): readonly Group[] {
    return [...this.#groups.values()].sort((one, other) => other.requests - one.requests);
  }
}

function partsOf({ route, verdict, code, reason, reported, upstreams }: Outcome): readonly unknown[] {
  return [route, verdict, code, reason, reported, upstreams.join(' ')];
}

export class Changes {
  /** Lines of requests, and the requests that these stand for. */
  read = 0;
  requests = 0;
  /** Lines about anything else. */
  otherLines = 0;
  /** Requests that the log has no line of. */
  leftOut = 0;
  brokenLines = 0;
  readonly broken: { readonly line: number; readonly why: string }[] = [];
  decided = 0;
  unchanged = 0;
  /** Clients would see something else, or another route would decide. */
  readonly changed = new Groups();
  /** They go to another upstream, and nothing else differs. */
  readonly elsewhere = new Groups();
  /** Routes that only report would have refused them, under the new file. */
  readonly reported = new Groups();
  readonly undecided = new Map<WhyUndecided, Count>();

  add(request: LoggedRequest, verdict: Verdict | Undecided, line: number): void {
    const example = { line, method: request.method, path: request.target?.path ?? '' };
    this.read++;
    this.requests += request.standsFor;
    if (verdict instanceof Undecided) this.#undecidable(verdict.why, request, example);
    else if (verdict.after instanceof Undecided) this.#undecidable(verdict.after.why, request, example);
    else this.#decidedAs(verdict.before, verdict.after, request, example);
  }

  addBroken(line: number, why: string): void {
    this.brokenLines++;
    if (this.broken.length < MOST_BROKEN) this.broken.push({ line, why });
  }

  get hasChanges(): boolean {
    return this.changed.list.length > 0 || this.elsewhere.list.length > 0;
  }

  #decidedAs(before: Outcome, after: Outcome, request: LoggedRequest, example: Example): void {
    this.decided++;
    if (!isSame(before, after)) this.changed.add(before, after, request, example);
    else if (isElsewhere(before, after)) this.elsewhere.add(before, after, request, example);
    else this.unchanged++;
    if (after.reported !== undefined && after.reported !== REPORT_UNKNOWN)
      this.reported.add(before, after, request, example);
  }

  #undecidable(why: WhyUndecided, { standsFor }: LoggedRequest, example: Example): void {
    const count = this.undecided.get(why) ?? { lines: 0, requests: 0, example };
    count.lines++;
    count.requests += standsFor;
    this.undecided.set(why, count);
  }
}
