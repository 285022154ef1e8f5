/**
 * A guarded host beside a public route for any host: whatever spelling a strict reader takes for the guarded host is
 * never served by the public route, wherever a host can stand. The readers are a real nginx, which is the upstream
 * too, and the URL of WHATWG. Rule C22.
 */
import { readFileSync } from 'node:fs';
import { connect, type ClientHttp2Session } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { send, sendRaw, statuses } from '../support/client.ts';
import { startAsker } from '../support/ext-authz.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { noNginx, startNginx } from '../support/nginx.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const GUARDED = ['api.example.com', '10.0.0.1', 'xn--bcher-kva.example', 'a.wild.example'];
/** The first names, so that each outcome is among them whatever the seed. */
const CERTAIN = [...GUARDED, 'other.example', 'not a host'];
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 150);
const key = createKey('ES256');

/** Text as bytes on the wire, one character each. */
const onTheWire = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const letter = (name: string, random: SeededRandom, change: (one: string) => string): string => {
  const at = random.below(name.length);
  return name.slice(0, at) + change(name[at] ?? '') + name.slice(at + 1);
};

/** Each makes another spelling of a name, the same host to some reader or another one. */
const CHANGES: readonly ((name: string, random: SeededRandom) => string)[] = [
  (name, random) => name.replace(/[a-z]/g, (one) => (random.below(2) ? one.toUpperCase() : one)),
  (name, random) => name + random.of(['.', '.', '..', '%2e', '\u3002']),
  (name, random) =>
    name + random.of([':80', ':443', ':0443', ':00080', ':8443', ':', ':99999', ':+80', ':a']),
  (name, random) => `.${random.of([':80', ''])}${name}`,
  (name, random) => letter(name, random, (one) => `%${one.charCodeAt(0).toString(16)}`),
  (name) => name.replace(/[^%]/g, (one) => `%${Buffer.from(one).toString('hex').slice(0, 2)}`),
  (name, random) => letter(name, random, (one) => String.fromCodePoint((one.codePointAt(0) ?? 0) + 0xfee0)),
  (name, random) =>
    letter(name, random, (one) => one + random.of(['\u00ad', '\u200d', '\ufeff', '\u0301', '\t', ' '])),
  (name, random) => name.replace('.', random.of(['\u3002', '\uff0e', '..', '%2E', '.%2e', ',', ';'])),
  (name) => name.replace('s', '\u017f').replace('k', '\u212a'),
  (name) => name.replace('xn--bcher-kva', 'b\u00fccher'),
  (name) => name.replace(/^[a-z]+/, (label) => `xn--${label}-`),
  (name, random) => random.of(['x@', 'x:y@', 'evil.example@', 'http://', '//', '\\']) + name,
  (name, random) =>
    name + random.of(['@x', '/', '/x', '?x', '#x', '\\x', ',x', ';x', '%00', '%20', '\u0000', '|']),
  (name) => `[${name}]`,
  (name, random) =>
    name.replace(
      '10.0.0.1',
      random.of([
        '0xa.0.0.1',
        '012.0.0.1',
        '167772161',
        '0x0a000001',
        '10.1',
        '10.0.1',
        '10.0.0.01',
        '10.0.0.0x1',
      ]),
    ),
  (name, random) =>
    name.replace('10.0.0.1', random.of(['[::ffff:10.0.0.1]', '[::ffff:a00:1]', '[::10.0.0.1]'])),
  (name, random) => random.of(['x', 'evil.', '']) + name + random.of(['.evil.example', 'x', '']),
];

function spelling(random: SeededRandom): string {
  let name = random.of(GUARDED);
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    // The spellings that HTTP allows are the first ones.
    const change = random.below(2) ? random.of(CHANGES) : CHANGES[random.below(3)];
    name = change?.(name, random) ?? name;
  }
  // What ends a header line is another matter.
  return name.replace(/[\r\n\0]/g, '');
}

/** Does WHATWG's URL take this for a guarded host? */
function urlTakes(name: string): boolean {
  return [name, onTheWire(name)].some((text) => {
    const hostname = URL.parse(`http://${text}/`)?.hostname.replace(/\.$/, '') ?? '';
    return GUARDED.includes(hostname) || hostname.endsWith('.wild.example');
  });
}

interface Outcome {
  readonly status: number;
  /** From the upstream: which server of nginx, the Host and the X-Forwarded-Host that it got. */
  readonly server?: string;
  readonly host?: string;
  readonly forwardedHost?: string;
}

function outcomeOf(received: string): Outcome {
  const [, server, host, forwardedHost] = /\r\n\r\n[^]*?(guarded|other)\|(.*)\|(.*)\|/.exec(received) ?? [];
  return {
    status: statuses(received)[0] ?? 0,
    ...(server && { server, host: host ?? '', forwardedHost: forwardedHost ?? '' }),
  };
}

/** One request of HTTP/1.1; names and values in turn. */
async function ask(port: number, target: string, ...headers: readonly string[]): Promise<Outcome> {
  const lines = headers.flatMap((name, index) => (index % 2 === 0 ? [`${name}: ${headers[index + 1]}`] : []));
  const bytes = [`GET ${target} HTTP/1.1`, ...lines, 'Connection: close', '', ''].join('\r\n');
  return outcomeOf(await sendRaw(port, bytes));
}

async function askHttp2(session: ClientHttp2Session, headers: Record<string, string>): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let text = '';
  let status = 0;
  const stream = session.request({ ':path': '/', ...headers });
  stream.on('response', (received) => (status = received[':status'] ?? 0));
  stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  stream.on('error', () => undefined);
  stream.on('close', () => resolve(outcomeOf(`HTTP/1.1 ${status} \r\n\r\n${text}`)));
  return promise;
}

const BESIDE_AUTHORITY = 'Host of HTTP/2, beside :authority';
const DIALECTS = ['forwarded', 'original', 'original_url', 'request', 'ext_authz'];

async function setUp(t: Test): Promise<{ nginx: number; gateway: TestGateway; session: ClientHttp2Session }> {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1', 'DNS:localhost');
  const nginx = await startNginx(t, (port) => {
    const server = (name: string, rest: string): string =>
      `server { listen 127.0.0.1:${port}${rest}; location / { return 200 "${name}|$http_host|$http_x_forwarded_host|"; } }`;
    return `${server('other', ' default_server')} ${server('guarded', `; server_name ${GUARDED.join(' ')} *.wild.example`)}`;
  });
  const gateway = await startGateway(
    t,
    {
      listeners: [
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.1', port: 0, tls: { cert_file: 'server.crt', key_file: 'server.key' } },
        ...DIALECTS.map((dialect) => ({
          host: '127.0.0.1',
          port: 0,
          serve: 'decisions',
          dialect,
          trusted_peers: ['127.0.0.1'],
        })),
      ],
      trusted_proxies: ['127.0.0.1'],
      issuers: { login: loginIssuer(key) },
      routes: [
        {
          name: 'guarded',
          match: { hosts: ['API.example.com.', '10.0.0.1', 'xn--bcher-kva.example', '*.wild.example'] },
          upstream: 'u',
        },
        { name: 'public', match: {}, upstream: 'u', auth: { mode: 'none' }, rewrite: { host: 'preserve' } },
      ],
      upstreams: { u: { targets: [`http://127.0.0.1:${nginx}`] } },
    },
    { folder },
  );
  const session = connect('https://localhost', {
    createConnection: () =>
      connectTls({
        host: '127.0.0.1',
        port: gateway.instance.listeners[1]?.address.port ?? 0,
        servername: 'localhost',
        ca: readFileSync(authority.ca),
        ALPNProtocols: ['h2'],
      }),
  });
  session.on('error', () => undefined);
  t.teardown(() => session.destroy());
  return { nginx, gateway, session };
}

t.test('C22 a host is sent on in its one form; a logout endpoint is found by every spelling', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await startGateway(t, {
    issuers: {
      login: {
        ...loginIssuer(key),
        backchannel_logout: { host: 'GW.example.com.', path: '/logout', client_ids: ['app'] },
      },
    },
    routes: [
      {
        name: 'guarded',
        match: { hosts: ['API.example.com.'] },
        upstream: 'u',
        rewrite: { host: 'preserve' },
      },
      { name: 'public', match: {}, upstream: 'u', auth: { mode: 'none' } },
    ],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const token = mint(key);
  for (const [host, sent] of [
    ['api.example.com.', 'api.example.com'],
    ['API.example.com:80', 'api.example.com'],
    ['Api.Example.Com.:08080', 'api.example.com:8080'],
  ] as const) {
    t.equal((await send(gateway.url, '/', { headers: ['host', host] })).status, 401, host);
    t.equal((await send(gateway.url, '/', { token, headers: ['host', host] })).status, 200, host);
    t.match(upstream.seen.at(-1)?.headers, { host: sent, 'x-forwarded-host': sent }, host);
  }
  const seen = upstream.seen.length;
  for (const host of ['gw.example.com', 'GW.example.com.', 'gw.example.com.:443']) {
    const response = await send(gateway.url, '/logout', { headers: ['host', host] });
    t.match(response, { status: 405, headers: { allow: 'POST' } }, host);
  }
  t.equal(upstream.seen.length, seen, 'the upstream saw neither refusals nor logouts');
});

t.test(
  'C22 every spelling of a guarded host, wherever it stands',
  { skip: noNginx || noOpenssl },
  async (t) => {
    const { nginx, gateway, session } = await setUp(t);
    const { port } = gateway;
    const portOf = (dialect: string): number =>
      gateway.instance.listeners[2 + DIALECTS.indexOf(dialect)]?.address.port ?? 0;
    const asker = startAsker(t, portOf('ext_authz'));
    const places: Record<string, (host: string) => Promise<Outcome>> = {
      Host: (host) => ask(port, '/', 'Host', host),
      'absolute-form': (host) => ask(port, `http://${host}/`, 'Host', host),
      'absolute-form, with another Host': (host) => ask(port, `http://${host}/`, 'Host', 'other.example'),
      'Host, with another absolute-form': (host) => ask(port, 'http://other.example/', 'Host', host),
      ':authority': (host) => askHttp2(session, { ':authority': host }),
      'Host of HTTP/2': (host) => askHttp2(session, { ':authority': '', host }),
      [BESIDE_AUTHORITY]: (host) => askHttp2(session, { ':authority': 'other.example', host }),
      'dialect forwarded': (host) =>
        ask(
          portOf('forwarded'),
          '/',
          ...['Host', 'gw', 'X-Forwarded-Method', 'GET', 'X-Forwarded-Proto', 'wss'],
          ...['X-Forwarded-Host', host, 'X-Forwarded-Uri', '/'],
        ),
      'dialect original': (host) =>
        ask(portOf('original'), '/', 'Host', host, 'X-Original-Method', 'GET', 'X-Original-URI', '/'),
      'dialect original_url': (host) =>
        ask(
          portOf('original_url'),
          '/',
          'Host',
          'gw',
          'X-Original-Method',
          'GET',
          'X-Original-URL',
          `http://${host}/`,
        ),
      'dialect request': (host) => ask(portOf('request'), '/', 'Host', host),
      'dialect ext_authz': async (host) => {
        const { status } = await asker.ask({ host, scheme: 'http' });
        return { status };
      },
    };

    t.comment(`seed ${SEED}: FUZZ_SEED repeats it`);
    const random = new SeededRandom(SEED);
    let taken = 0;
    const tell = { guarded: 0, public: 0, refused: 0 };
    for (let run = 0; run < RUNS; run++) {
      const name = CERTAIN[run] ?? spelling(random);
      const host = onTheWire(name);
      const isTaken = urlTakes(name) || (await ask(nginx, '/', 'Host', host)).server === 'guarded';
      if (isTaken) taken++;
      const outcomes = await Promise.all(
        Object.entries(places).map(async ([place, asked]) => [place, await asked(host)] as const),
      );
      const wrong = outcomes.filter(([place, { status, server, host: sent = '' }]) => {
        // Of a Host that is no field value, Node's HTTP/2 tells nothing; the host that is left is the other one.
        const isDropped = place === BESIDE_AUTHORITY && sent === 'other.example';
        return (isTaken && status === 200 && !isDropped) || server === 'guarded' || urlTakes(sent);
      });
      if (wrong.length > 0) t.fail(JSON.stringify({ name, isTaken, wrong }));
      for (const [, { status }] of outcomes)
        tell[status === 200 ? 'public' : status === 401 ? 'guarded' : 'refused']++;

      const { forwardedHost = '' } = await ask(port, '/', 'Host', 'other.example', 'X-Forwarded-Host', host);
      const isPlain = /^[a-z0-9.-]+(?::[0-9]+)?$|^\[[0-9a-f:]+\](?::[0-9]+)?$/.test(forwardedHost);
      if (!isPlain || /\.(?::|$)/.test(forwardedHost)) t.fail(JSON.stringify({ name, forwardedHost }));
    }
    t.comment(JSON.stringify({ taken, ...tell }));
    t.ok(taken >= GUARDED.length, 'spellings of a guarded host are among them');
    for (const [outcome, times] of Object.entries(tell)) t.ok(times > 0, outcome);
  },
);
