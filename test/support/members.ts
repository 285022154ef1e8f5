/** Servers behind one name: one on each of several loopback addresses, all on the same port. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Test } from 'tap';
import type { Http2Listener } from './http2-upstream.ts';

export interface MemberServer {
  readonly address: string;
  /** Paths that it was asked for. */
  readonly seen: string[];
  /** Connections that were ever opened. */
  opened: number;
  readonly open: Set<Socket>;
  /** Status of its responses. */
  status: number;
  /** It answers only after release(). */
  readonly held: (() => void)[];
  isHolding: boolean;
  /** It stops listening, and cuts its connections off. */
  stop(): void;
}

export interface Members {
  readonly port: number;
  readonly servers: readonly MemberServer[];
  /** Starts to listen on another address. */
  add(address: string): Promise<MemberServer>;
}

/** @param addresses the first gets a free port, the others the same */
export async function startMembers(
  t: Test,
  addresses: readonly string[],
  { isHttp2 = false, port: wanted = 0 } = {},
): Promise<Members> {
  const servers: MemberServer[] = [];
  let port = wanted;
  const add = async (address: string): Promise<MemberServer> => {
    const { member, server } = memberServer(address, isHttp2);
    server.listen(port, address);
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
    t.teardown(() => member.stop());
    servers.push(member);
    return member;
  };
  for (const address of addresses) await add(address);
  return {
    get port() {
      return port;
    },
    servers,
    add,
  };
}

function memberServer(address: string, isHttp2: boolean): { member: MemberServer; server: Server } {
  const respond: Http2Listener = (request, response) => {
    member.seen.push(request.url);
    const reply = (): void => {
      const host = request.headers[':authority'] ?? request.headers.host ?? '';
      response.writeHead(member.status, { 'x-host': host });
      response.end(address);
    };
    request.resume();
    request.on('end', () => void (member.isHolding ? member.held.push(reply) : reply()));
  };
  const server: Server = isHttp2
    ? createHttp2Server(respond).on('session', (session: ServerHttp2Session) =>
        session.on('error', () => undefined),
      )
    : createServer(respond as never);
  const member: MemberServer = {
    address,
    seen: [],
    opened: 0,
    open: new Set(),
    status: 200,
    held: [],
    isHolding: false,
    stop: () => {
      for (const socket of member.open) socket.destroy();
      server.close();
    },
  };
  server.on('connection', (socket: Socket) => {
    member.opened++;
    member.open.add(socket);
    socket.on('error', () => undefined).on('close', () => member.open.delete(socket));
  });
  return { member, server };
}
