/**
 * Listening sockets that this process opens and others accept from: one for each of them at the same address
 * (SO_REUSEPORT), so that the kernel spreads connections evenly and no process passes them on.
 *
 * The opener keeps each socket. Where the process that accepts from it dies, connections wait in its queue for the next
 * one, and none is reset. docs/decisions/workers.md.
 */
import { lookup } from 'node:dns/promises';
import net from 'node:net';
import { getSystemErrorName } from 'node:util';

/** A bound socket of Node, to be sent to another process or listened on there. */
export interface SocketHandle {
  listen(backlog: number): number;
  getsockname(address: { address?: string; port?: number }): number;
  close(): void;
}

/**
 * What node:cluster opens its sockets with. Node has no public way to bind a socket and accept nothing from it: a
 * net.Server would accept at once, in this process.
 */
const { _createServerHandle: createHandle } = net as unknown as {
  _createServerHandle: (
    host: string,
    port: number,
    family: 4 | 6,
    fd: -1,
    flags: number,
  ) => SocketHandle | number;
};

/** UV_TCP_REUSEPORT of libuv (uv_tcp_flags). */
const REUSE_PORT = 2;
const BACKLOG = 511;

export interface SharedSockets {
  readonly address: string;
  readonly port: number;
  /** One for each process. Where the system does not spread connections over several sockets, all are the same one. */
  readonly handles: readonly SocketHandle[];
}

/**
 * Binds sockets at one address.
 *
 * @param port 0: the system chooses one, for all
 * @param mayShare others have the port, too: whether it is in use cannot be known
 * @throws Error with the code of the operating system
 */
export async function openSharedSockets(
  { host, port, mayShare }: { readonly host: string; readonly port: number; readonly mayShare: boolean },
  count: number,
): Promise<SharedSockets> {
  const { address, family } = await lookup(host);
  const version = family === 6 ? 6 : 4;
  if (port !== 0 && !mayShare) refuseIfInUse(address, port, version);
  const first = createHandle(address, port, version, -1, REUSE_PORT);
  // As on macOS and Windows: all accept from one socket there.
  if (typeof first === 'number') return sharedByAll(address, port, version, count);
  const bound = addressOf(first);
  const handles = [first];
  while (handles.length < count)
    handles.push(opened(createHandle(address, bound.port, version, -1, REUSE_PORT)));
  return { ...bound, handles };
}

function sharedByAll(address: string, port: number, version: 4 | 6, count: number): SharedSockets {
  const handle = opened(createHandle(address, port, version, -1, 0));
  return { ...addressOf(handle), handles: Array.from({ length: count }, () => handle) };
}

/** A socket with SO_REUSEPORT would share the port with whatever other process of this user has it so. */
function refuseIfInUse(address: string, port: number, version: 4 | 6): void {
  const probe = opened(createHandle(address, port, version, -1, 0));
  const code = probe.listen(BACKLOG);
  probe.close();
  if (code !== 0) throw systemError(code);
}

function opened(handle: SocketHandle | number): SocketHandle {
  if (typeof handle === 'number') throw systemError(handle);
  return handle;
}

function addressOf(handle: SocketHandle): { readonly address: string; readonly port: number } {
  const name: { address?: string; port?: number } = {};
  const code = handle.getsockname(name);
  if (code !== 0) throw systemError(code);
  return { address: name.address ?? '', port: name.port ?? 0 };
}

/** @param code of libuv: below 0 */
function systemError(code: number): Error {
  const name = getSystemErrorName(code);
  return Object.assign(new Error(`the socket cannot be opened: ${name}`), { code: name });
}
