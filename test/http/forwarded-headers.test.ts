/** X-Forwarded-For, -Proto and -Host as the upstream gets them. Rules F1, F2. */
import t from 'tap';
import { forwardedForChain, pushForwardedHeaders } from '../../src/http/forwarded-headers.ts';
import { fieldValues, headOf, type HeadInput } from '../support/heads.ts';

const PEER = '192.0.2.7';

/** What the upstream gets: the values of For, Proto and Host. */
function forwarded(input: HeadInput, peerIsTrusted: boolean, peer = PEER): string[] {
  const headers = ['x-kept', '1'];
  pushForwardedHeaders(headers, headOf(input), peer, peerIsTrusted);
  return ['x-kept', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'].flatMap((name) =>
    fieldValues(headers, name),
  );
}

const For = (value: string): string => `X-Forwarded-For: ${value}`;
const Proto = (value: string): string => `X-Forwarded-Proto: ${value}`;
const Host = (value: string): string => `X-Forwarded-Host: ${value}`;
const ALL = [For('10.0.0.1'), Proto('https'), Host('b.example')];

const untrusted: [name: string, fields: string[]][] = [
  ['nothing was sent', []],
  ['F1 C3 all three', ALL],
  ['F1 C3 each of them twice', [...ALL, ...ALL]],
  ['F1 empty values', [For(''), Proto(''), Host('')]],
  ['F1 other spellings', ['X_Forwarded_For: 10.0.0.1', 'x.forwarded.proto: https', 'X_FORWARDED-HOST: b']],
  ['F1 other words for it', ['Forwarded: for=10.0.0.1;proto=https;host=b.example', 'X-Real-IP: 10.0.0.1']],
  ['C1 named by Connection', [...ALL, 'Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host']],
];
t.test('F1 from a peer that is not trusted, all three are ours', async (t) => {
  for (const [name, fields] of untrusted)
    t.strictSame(forwarded({ fields }, false), ['1', PEER, 'http', 'a.example'], name);
  const overTls = forwarded(
    { scheme: 'https', host: 'a.example:8443', fields: [Proto('http')] },
    false,
    '::1',
  );
  t.strictSame(
    overTls,
    ['1', '::1', 'https', 'a.example:8443'],
    'F2 the scheme, Host and address as they are',
  );
});

const trusted: [name: string, fields: string[], forwardedFor: string, proto: string, host: string][] = [
  ['nothing was sent', [], PEER, 'http', 'a.example'],
  ['F1 all three', ALL, `10.0.0.1, ${PEER}`, 'https', 'b.example'],
  ['F1 an address alone', [For('10.0.0.1')], `10.0.0.1, ${PEER}`, 'http', 'a.example'],
  ['F1 a chain in two lines', [For('a, b'), For('c')], `a, b, c, ${PEER}`, 'http', 'a.example'],
  [
    'F2 addresses as they were written',
    [For('[::1]:80, "x"')],
    `[::1]:80, "x", ${PEER}`,
    'http',
    'a.example',
  ],
  ['F1 C2 no chain in another spelling', ['X_Forwarded_For: 10.0.0.1'], PEER, 'http', 'a.example'],
  [
    'F1 C1 Connection takes nothing away',
    ['Connection: X-Forwarded-For', For('a')],
    `a, ${PEER}`,
    'http',
    'a.example',
  ],
  ['F1 http', [Proto('http')], PEER, 'http', 'a.example'],
  ['F1 two schemes that agree', [Proto('https'), Proto('https')], PEER, 'http', 'a.example'],
  ['F1 a list of schemes', [Proto('https, https')], PEER, 'http', 'a.example'],
  ['F1 no scheme', [Proto('')], PEER, 'http', 'a.example'],
  ['F1 a scheme that is none of ours', [Proto('javascript')], PEER, 'http', 'a.example'],
  ['F1 a scheme with more behind it', [Proto('https://b.example/')], PEER, 'http', 'a.example'],
  ['F2 a host with a port', [Host('b.example:8443')], PEER, 'http', 'b.example:8443'],
  ['F2 an IPv4 address', [Host('10.0.0.1')], PEER, 'http', '10.0.0.1'],
  ['F2 an IPv6 address', [Host('[2001:db8::1]:8443')], PEER, 'http', '[2001:db8::1]:8443'],
  ['F1 two hosts that agree', [Host('b.example'), Host('b.example')], PEER, 'http', 'a.example'],
  ['F1 a list of hosts', [Host('b.example, c.example')], PEER, 'http', 'a.example'],
  ['F1 no host', [Host('')], PEER, 'http', 'a.example'],
  ['F1 a host with a path', [Host('b.example/c')], PEER, 'http', 'a.example'],
  ['F1 a host with a user', [Host('c@b.example')], PEER, 'http', 'a.example'],
  ['F1 a host with a scheme', [Host('https://b.example')], PEER, 'http', 'a.example'],
  ['F1 a host with a space', [Host('b.example c')], PEER, 'http', 'a.example'],
  ['F1 a host in quotes', [Host('"b.example"')], PEER, 'http', 'a.example'],
  ['F1 a host that would be markup', [Host('b.example"><script>')], PEER, 'http', 'a.example'],
  ['F1 a host with a port that is no number', [Host('b.example:x')], PEER, 'http', 'a.example'],
  ['F2 an IPv6 address without brackets', [Host('2001:db8::1')], PEER, 'http', 'a.example'],
  ['F1 a host longer than any name', [Host('b'.repeat(256))], PEER, 'http', 'a.example'],
];
t.test(
  'F1 from a trusted peer: the chain and ours, scheme and host if they are single and valid',
  async (t) => {
    for (const [name, fields, ...expected] of trusted)
      t.strictSame(forwarded({ fields }, true), ['1', ...expected], name);
  },
);

t.test('F1 the chain of a request is one list', async (t) => {
  t.equal(forwardedForChain(headOf()), undefined);
  t.equal(forwardedForChain(headOf({ fields: [For('a,b'), 'X-A: x', For('c')] })), 'a,b, c');
});
