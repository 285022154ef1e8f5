/**
 * Large responses go out in the memory that they were read into. Each client gets its own bytes, whatever the others do: slow ones, ones
 * that leave, ones of TLS and of HTTP/2, and responses that break off. Rules H9, H11, H15.
 */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { get as getByTls } from 'node:https';
import type { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { OPEN } from '../support/forwarding.ts';
import { startGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { startServer } from '../support/upstream.ts';

const MIB = 1024 * 1024;
/** Of each response. */
const BYTES = 6 * MIB;

/** Each four bytes say whose they are, and where they stand. */
function wordAt(seed: number, index: number): number {
  return ((seed << 24) | (index & 0xffffff)) >>> 0;
}

function bodyOf(seed: number): Buffer {
  const body = Buffer.allocUnsafe(BYTES);
  for (let index = 0; index < BYTES / 4; index++) body.writeUInt32BE(wordAt(seed, index), index * 4);
  return body;
}

/** @returns where the first wrong byte stands; -1 where all are right */
function firstWrong(seed: number, parts: readonly Buffer[]): number {
  const got = Buffer.concat(parts);
  const expected = bodyOf(seed).subarray(0, got.length);
  return got.equals(expected) ? -1 : got.findIndex((byte, index) => byte !== expected[index]);
}

/** The path says whose bytes, and how they come. */
const startLargeUpstream = (t: Test): Promise<string> =>
  startServer(t, (request, response) => {
    const [, , seed, how] = (request.url ?? '').split('/');
    const body = bodyOf(Number(seed));
    if (how === 'length') response.setHeader('content-length', body.length);
    if (how === 'breaks') response.write(body.subarray(0, BYTES / 2), () => response.destroy());
    else response.end(body);
  });

interface Manner {
  /** How the upstream sends. */
  readonly how: 'length' | 'chunked' | 'breaks';
  /** Turns of the event loop that the client waits after each part. */
  readonly turns: number;
  /** The client leaves after so many bytes. */
  readonly most: number;
}

/** Reads in this manner. @returns what came */
async function partsOf(stream: Readable, { turns, most }: Manner): Promise<readonly Buffer[]> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of stream as AsyncIterable<Buffer>) {
      parts.push(part);
      bytes += part.length;
      if (bytes >= most) break;
      for (let left = turns; left > 0; left--) await turn();
    }
  } catch {
    // It broke off.
  }
  return parts;
}

async function responseTo(request: ReturnType<typeof get>): Promise<IncomingMessage> {
  request.on('error', () => undefined);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

const MANNERS: readonly Manner[] = [
  { how: 'chunked', turns: 0, most: Infinity },
  { how: 'length', turns: 0, most: Infinity },
  { how: 'chunked', turns: 20, most: Infinity },
  { how: 'length', turns: 20, most: Infinity },
  { how: 'length', turns: 20, most: 2 * MIB },
  { how: 'breaks', turns: 0, most: Infinity },
  { how: 'breaks', turns: 20, most: Infinity },
];

t.test('each client gets its own bytes', { skip: noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  const { cert, key } = authority.issue('server', 'IP:127.0.0.1');
  const upstream = await startLargeUpstream(t);
  const { instance, url } = await startGateway(t, {
    listeners: [
      { host: '127.0.0.1', port: 0, protocols: ['h2c', 'http/1.1'] },
      { host: '127.0.0.1', port: 0, tls: { cert_file: cert, key_file: key } },
    ],
    routes: [OPEN],
    upstreams: { u: { targets: [upstream] } },
  });
  const session: ClientHttp2Session = connectHttp2(url);
  t.teardown(() => session.destroy());
  const tls = `https://${instance.addresses.listeners[1]}`;
  const ways: Record<string, (path: string) => Readable | Promise<Readable>> = {
    'HTTP/1.1': (path) => responseTo(get(`${url}${path}`, { agent: false })),
    'HTTP/1.1 over TLS': (path) =>
      responseTo(getByTls(`${tls}${path}`, { agent: false, rejectUnauthorized: false })),
    'HTTP/2': (path) => session.request({ ':path': path }).on('error', () => undefined),
  };
  for (const wave of [1, 2]) {
    const clients = Object.entries(ways).flatMap(([way, open], row) =>
      MANNERS.map(async (manner, column) => {
        const seed = wave * 100 + row * 10 + column;
        const parts = await partsOf(await open(`/open/${seed}/${manner.how}`), manner);
        const name = `${way}, ${JSON.stringify(manner)}`;
        t.equal(firstWrong(seed, parts), -1, `${name}: no byte of others`);
        const bytes = parts.reduce((sum, { length }) => sum + length, 0);
        if (manner.how !== 'breaks' && manner.most === Infinity) t.equal(bytes, BYTES, `${name}: all of it`);
      }),
    );
    await Promise.all(clients);
  }
});
