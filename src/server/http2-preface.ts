/**
 * One plaintext port for HTTP/1.1 and for HTTP/2 by prior knowledge: a client of HTTP/2 sends its preface first (RFC 9113
 * section 3.4), which no request of HTTP/1.1 begins with. Only the first bytes of a connection count: a preface that
 * comes later is no HTTP/1.1 and is refused. Rules C13, H19.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';

/** `h2`: HTTP/2 over TLS, chosen in the handshake. `h2c`: HTTP/2 in plaintext, by prior knowledge (RFC 9113 section 3.3). */
export type ListenerProtocol = 'h2' | 'h2c' | 'http/1.1';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** What happens to a new connection. Each gets it with every byte still to be read. */
export interface PrefaceOutcomes {
  /** Its bytes are not the preface. The socket is paused. */
  readonly http1: (socket: Socket) => void;
  /** The whole preface has come. The socket is paused. @param withinMs what is left of the time for the first request */
  readonly http2: (socket: Socket, withinMs: number) => void;
  /** The time for the preface is over. */
  readonly late: (socket: Socket) => void;
  /** The client has sent a part of the preface, and then the end. */
  readonly cut: (socket: Socket) => void;
}

export class PrefaceWatch {
  readonly #outcomes: PrefaceOutcomes;
  readonly #clock: Clock;
  readonly #waiting = new Set<Socket>();

  constructor(outcomes: PrefaceOutcomes, clock: Clock) {
    this.#outcomes = outcomes;
    this.#clock = clock;
  }

  /** Reads a new connection until it is clear what its client speaks, at most for `timeoutMs`. Nothing is kept of it. */
  watch(socket: Socket, timeoutMs: number): void {
    const deadlineMs = this.#clock.monotonicMs() + timeoutMs;
    /** Bytes that have come, all of them the preface's. */
    let matched = 0;
    const cancel = this.#clock.after(timeoutMs, () => decide(this.#outcomes.late));
    const decide = (outcome: (socket: Socket) => void): void => {
      cancel();
      this.#waiting.delete(socket);
      socket.off('data', read).off('end', end).off('close', close);
      outcome(socket);
    };
    const giveBack = (bytes: Buffer): void => {
      socket.pause();
      socket.unshift(bytes);
    };
    const read = (chunk: Buffer): void => {
      const known = PREFACE.subarray(matched, matched + chunk.length);
      const isPreface = chunk.subarray(0, known.length).equals(known);
      if (isPreface && matched + chunk.length < PREFACE.length) {
        matched += chunk.length;
        return;
      }
      const bytes = matched === 0 ? chunk : Buffer.concat([PREFACE.subarray(0, matched), chunk]);
      decide((socket) => {
        giveBack(bytes);
        if (isPreface) this.#outcomes.http2(socket, deadlineMs - this.#clock.monotonicMs());
        else this.#outcomes.http1(socket);
      });
    };
    const end = (): void => decide(matched === 0 ? destroy : this.#outcomes.cut);
    const close = (): void => decide(() => undefined);
    this.#waiting.add(socket);
    socket
      .on('data', read)
      .on('end', end)
      .on('error', () => socket.destroy())
      .on('close', close);
  }

  /** Ends the connections that have asked for nothing yet. */
  end(): void {
    for (const socket of this.#waiting) socket.destroy();
  }
}

function destroy(socket: Socket): void {
  socket.destroy();
}
