/**
 * Calls between the primary and a worker, over the pipe between them. Messages arrive in the order in which they were sent, both
 * ways: who has a response has all that was sent before it. Both ends are the same program, and trust each other.
 */
import type { Clock } from '../clock.ts';
import type { SocketHandle } from '../server/shared-sockets.ts';

/** The pipe: of a child process, or of the process itself. */
export interface Pipe {
  /** Never throws; what is sent to an end that is gone is lost. */
  send(message: unknown, socket?: SocketHandle): void;
  /** @param received called for each message, in order */
  open(received: (message: unknown, socket: SocketHandle | undefined) => void): void;
}

/** What one end can be asked for: by name, the argument and the result. */
export type Calls = Readonly<Record<string, { readonly takes: unknown; readonly gives: unknown }>>;

/** What an end does when it is asked. */
export type Handlers<C> = {
  readonly [Name in keyof C]: C[Name] extends { takes: infer Takes; gives: infer Gives }
    ? (argument: Takes, socket: SocketHandle | undefined) => Gives | Promise<Gives>
    : never;
};

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

type Message =
  | { readonly call: number; readonly name: string; readonly argument: unknown }
  | { readonly reply: number; readonly value: unknown }
  | { readonly reply: number; readonly failed: string; readonly code: string | undefined };

/** The other end did not respond in time, or is gone. */
class ChannelFailed extends Error {
  override readonly name = 'ChannelFailed';
}

export class Channel<Theirs> {
  readonly #pipe: Pipe;
  readonly #clock: Clock;
  readonly #pending = new Map<number, Pending>();
  #calls = 0;
  #isClosed = false;

  /** @param handlers what this end can be asked for */
  constructor(pipe: Pipe, clock: Clock, handlers: Handlers<unknown>) {
    this.#pipe = pipe;
    this.#clock = clock;
    const byName = new Map<string, Handler>(Object.entries(handlers));
    pipe.open((message, socket) => this.#received(message as Message, byName, socket));
  }

  /**
   * Asks the other end.
   *
   * @param timeoutMs 0: as long as the other end lives
   * @throws ChannelFailed; Error with the message and code of what the other end threw
   */
  async call<Name extends keyof Theirs & string>(
    name: Name,
    argument: Theirs[Name] extends { takes: infer Takes } ? Takes : never,
    timeoutMs = 0,
    socket?: SocketHandle,
  ): Promise<Theirs[Name] extends { gives: infer Gives } ? Gives : never> {
    if (this.#isClosed) throw new ChannelFailed('the other process is gone');
    const id = ++this.#calls;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { resolve, reject });
    const cancel =
      timeoutMs === 0
        ? () => undefined
        : this.#clock.after(timeoutMs, () => reject(new ChannelFailed(`no response to ${name} in time`)));
    this.#pipe.send({ call: id, name, argument }, socket);
    try {
      return (await promise) as never;
    } finally {
      cancel();
      this.#pending.delete(id);
    }
  }

  /** The other end is gone: nothing is waited for any more. */
  close(): void {
    this.#isClosed = true;
    for (const { reject } of this.#pending.values()) reject(new ChannelFailed('the other process is gone'));
  }

  #received(
    message: Message,
    handlers: ReadonlyMap<string, Handler>,
    socket: SocketHandle | undefined,
  ): void {
    if ('call' in message) {
      void this.#handle(message.call, handlers.get(message.name), message.argument, socket);
      return;
    }
    const pending = this.#pending.get(message.reply);
    if ('failed' in message)
      pending?.reject(Object.assign(new Error(message.failed), message.code && { code: message.code }));
    else pending?.resolve(message.value);
  }

  /** The handler begins at once, so that what it does at once is done in the order of the messages. */
  async #handle(
    reply: number,
    handler: Handler | undefined,
    argument: unknown,
    socket: SocketHandle | undefined,
  ): Promise<void> {
    try {
      if (!handler) throw new TypeError('there is no such call');
      const value: unknown = await handler(argument, socket);
      this.#pipe.send({ reply, value });
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      this.#pipe.send({ reply, failed: message, code });
    }
  }
}

type Handler = (argument: unknown, socket: SocketHandle | undefined) => unknown;
