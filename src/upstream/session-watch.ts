/**
 * Finds a peer that is gone without a word: a host that lost its power, or a firewall that forgot the connection. TCP
 * alone needs a quarter of an hour for that, and where nothing is sent it never finds out; until then an HTTP/2
 * connection would swallow every request of its target. A PING (RFC 9113 section 6.7) tells. Pure.
 *
 * It is looked at by the pool's sweep, so that no request pays for it.
 */

/** Longer than most responses take: a busy connection sees no PING. */
const SILENT_MS = 10_000;
/** Ten round trips around the world. With the above, a request waits for a dead peer for at most 16 s. */
const REPLY_MS = 5_000;
/**
 * Servers of gRPC end a connection with more than two PINGs that come less than five minutes apart while they send no
 * response (grpc-go, grpc-core: ENHANCE_YOUR_CALM, too_many_pings). A stream that only waits must not cause that.
 */
const QUICK_PROBES = 2;
const SELDOM_MS = 305_000;

/** What is known of a session. */
export interface Watched {
  /** Bytes that have ever come. */
  readonly bytesRead: number;
  /** Streams that are open. */
  readonly streams: number;
  /** Streams that were ever opened. */
  readonly opened: number;
}

export class SessionWatch {
  #bytesRead = -1;
  #heardAtMs = 0;
  /** The last PING; -Infinity before the first. */
  #probedAtMs = -Infinity;
  #openedBefore = 0;
  /** PINGs since the last response. */
  #probes = 0;
  /** How often a PING without a reply was looked at; undefined while none is awaited. */
  #looks: number | undefined;

  /** A part of a response has come. */
  responded(): void {
    this.#probes = 0;
  }

  /** A PING waits for its reply: other sessions should get the requests. */
  get isSuspect(): boolean {
    return this.#looks !== undefined && this.#looks > 0;
  }

  /**
   * @param nowMs on a monotonic clock
   * @returns what is to be done: send a PING, or give the session up
   */
  look(nowMs: number, session: Watched): 'nothing' | 'probe' | 'give up' {
    if (session.bytesRead !== this.#bytesRead) {
      this.#bytesRead = session.bytesRead;
      this.#heardAtMs = nowMs;
      this.#looks = undefined;
      return 'nothing';
    }
    if (this.#looks !== undefined) {
      this.#looks++;
      // Twice: after a pause of the whole process the reply may be there, and only not read yet.
      return nowMs - this.#probedAtMs >= REPLY_MS && this.#looks > 1 ? 'give up' : 'nothing';
    }
    if (session.streams === 0 || nowMs < this.#dueMs(session.opened)) return 'nothing';
    this.#probes++;
    this.#probedAtMs = nowMs;
    this.#openedBefore = session.opened;
    this.#looks = 0;
    return 'probe';
  }

  /** A new stream deserves a quick probe; streams that have been waiting for long get one now and then. */
  #dueMs(opened: number): number {
    const isQuick = this.#probes < QUICK_PROBES && opened > this.#openedBefore;
    return isQuick ? this.#heardAtMs + SILENT_MS : Math.max(this.#heardAtMs, this.#probedAtMs) + SELDOM_MS;
  }
}
