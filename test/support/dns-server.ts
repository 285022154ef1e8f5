/** A DNS server on loopback, over UDP and TCP, whose records and faults a test sets. */
import { decode, encode, streamDecode, streamEncode, type Answer, type DecodedPacket } from 'dns-packet';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import type { Test } from 'tap';

export interface Records {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  /** [priority, weight, port, name] */
  readonly srv?: readonly (readonly [number, number, number, string])[];
  readonly ttl?: number;
  /** Further answers, sent unchanged. */
  readonly more?: readonly Answer[];
}

/** What is wrong with a response. `silent`: there is none. `truncated`: over UDP, as it is too long for it. */
export type Fault =
  'servfail' | 'nxdomain' | 'refused' | 'silent' | 'garbage' | 'truncated' | 'other-question';

export interface DnsServer {
  /** For `dns.servers`. */
  readonly address: string;
  /** What each name has; a name that is not here does not exist. */
  readonly records: Map<string, Records>;
  /** For all names. */
  fault: Fault | undefined;
  /** Of one type only, where it is set. */
  faultyType: string | undefined;
  /** What was asked: name and type. */
  readonly asked: string[];
  /** Questions over TCP. */
  overTcp: number;
  /** Questions wait until release(). */
  hold(): void;
  release(): void;
}

const RESPONSE_CODES: Readonly<Record<string, number>> = { servfail: 2, nxdomain: 3, refused: 5 };
const TRUNCATED_RESPONSE = 1 << 9;

export async function startDnsServer(
  t: Test,
  initial: Readonly<Record<string, Records>> = {},
): Promise<DnsServer> {
  const udp = createSocket('udp4');
  let held: (() => void)[] | undefined;
  const dns: DnsServer = {
    address: '',
    records: new Map(Object.entries(initial)),
    fault: undefined,
    faultyType: undefined,
    asked: [],
    overTcp: 0,
    hold: () => (held = []),
    release: () => {
      const waiting = held ?? [];
      held = undefined;
      for (const respond of waiting) respond();
    },
  };
  const whenReleased = (respond: () => void): void => {
    if (held) held.push(respond);
    else respond();
  };
  udp.on('message', (message, { port, address }) => {
    const question = decode(message);
    dns.asked.push(textOf(question));
    whenReleased(() => {
      const fault = faultOf(dns, question);
      if (fault === 'silent') return;
      const response =
        fault === 'garbage' ? Buffer.from('no DNS at all') : encode(responseTo(question, dns, fault));
      udp.send(response, port, address);
    });
  });
  const tcp = tcpServer(dns);
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as AddressInfo;
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  t.teardown(() => {
    udp.close();
    tcp.close();
  });
  return Object.assign(dns, { address: `127.0.0.1:${port}` });
}

function tcpServer(dns: DnsServer): Server {
  return createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < received.readUInt16BE() + 2) return;
      const question = streamDecode(received) as DecodedPacket;
      dns.overTcp++;
      socket.end(streamEncode(responseTo(question, dns, undefined)));
    });
  });
}

function textOf({ questions }: DecodedPacket): string {
  return `${questions?.[0]?.name} ${questions?.[0]?.type}`;
}

function faultOf({ fault, faultyType }: DnsServer, { questions }: DecodedPacket): Fault | undefined {
  return faultyType === undefined || questions?.[0]?.type === faultyType ? fault : undefined;
}

function responseTo(question: DecodedPacket, dns: DnsServer, fault: Fault | undefined) {
  const [{ name = '', type = 'A' } = {}] = question.questions ?? [];
  const records = dns.records.get(name);
  const code = RESPONSE_CODES[fault ?? (records ? '' : 'nxdomain')] ?? 0;
  const answers = code === 0 && records ? answersOf(name, type, records) : [];
  return {
    type: 'response' as const,
    id: question.id ?? 0,
    flags: code | (fault === 'truncated' ? TRUNCATED_RESPONSE : 0),
    questions:
      fault === 'other-question' ? [{ name: 'other.test', type: 'A' as const }] : (question.questions ?? []),
    answers: fault === 'truncated' ? [] : answers,
  };
}

function answersOf(
  name: string,
  type: string,
  { a = [], aaaa = [], srv = [], ttl = 5, more = [] }: Records,
): Answer[] {
  const addresses = type === 'A' ? a : type === 'AAAA' ? aaaa : [];
  return [
    ...addresses.map((data): Answer => ({ name, type: type as 'A' | 'AAAA', ttl, data })),
    ...(type === 'SRV'
      ? srv.map(([priority, weight, port, target]): Answer => ({
          name,
          type: 'SRV',
          ttl,
          data: { priority, weight, port, target },
        }))
      : []),
    ...more.filter((answer) => answer.type === type),
  ];
}
