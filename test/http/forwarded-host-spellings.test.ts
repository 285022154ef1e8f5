/** X-Forwarded-Proto and -Host as upstreams get them. Rules F1, F2, C22. */
import t from 'tap';
import { pushForwardedHeaders } from '../../src/http/forwarded-headers.ts';
import { HeaderTable } from '../../src/http/header-names.ts';
import { readHead } from '../../src/http/request-head.ts';

const limits = { uriBytes: 8192, headerBytes: 16_384, headerCount: 100, bodyBytes: 0 };

/** What the upstream gets of these headers, by name. */
function forwarded(
  extra: readonly string[],
  peerIsTrusted = true,
  host = 'own.example.',
): Map<string, string> {
  const head = readHead(
    {
      method: 'GET',
      target: '/',
      httpVersion: '1.1',
      rawHeaders: ['Host', host, ...extra],
      scheme: 'http',
      bodyFollows: false,
      wantsTunnel: false,
    },
    new HeaderTable([]),
    limits,
  );
  const headers: string[] = [];
  pushForwardedHeaders(headers, head, '10.0.0.1', peerIsTrusted);
  return new Map(
    headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1] ?? '']] : [])),
  );
}

t.test(
  'X-Forwarded-Proto of a trusted proxy: wss and ws are https and http, in any case of letters',
  async (t) => {
    const sent: Record<string, string> = {
      https: 'https',
      wss: 'https',
      WSS: 'https',
      Https: 'https',
      ws: 'http',
      wS: 'http',
      HTTP: 'http',
      ftp: 'http',
      'wss, ws': 'http',
      wsss: 'http',
      '': 'http',
    };
    for (const [said, proto] of Object.entries(sent))
      t.equal(forwarded(['X-Forwarded-Proto', said]).get('x-forwarded-proto'), proto, said);
    t.equal(
      forwarded(['X-Forwarded-Proto', 'wss', 'X-Forwarded-Proto', 'wss']).get('x-forwarded-proto'),
      'http',
    );
    t.equal(forwarded(['X-Forwarded-Proto', 'wss'], false).get('x-forwarded-proto'), 'http');
  },
);

t.test('C22 X-Forwarded-Host has one form: of a trusted proxy, else of the Host', async (t) => {
  const sent: Record<string, string> = {
    'API.example.com.': 'api.example.com',
    'api.example.com.:8443': 'api.example.com:8443',
    'api.example.com:80': 'api.example.com',
    '[0::1]': '[::1]',
    'api%2eexample.com': 'own.example',
    'api.example.com..': 'own.example',
    '127.1': 'own.example',
    'a, b': 'own.example',
  };
  for (const [said, host] of Object.entries(sent))
    t.equal(forwarded(['X-Forwarded-Host', said]).get('x-forwarded-host'), host, said);
  const overTls = ['X-Forwarded-Proto', 'wss', 'X-Forwarded-Host', 'api.example.com.:443'];
  t.equal(forwarded(overTls).get('x-forwarded-host'), 'api.example.com');
  t.equal(forwarded(['X-Forwarded-Host', 'api.example.com'], false).get('x-forwarded-host'), 'own.example');
  t.equal(forwarded([], true, 'OWN.example:80').get('x-forwarded-host'), 'own.example');
});
