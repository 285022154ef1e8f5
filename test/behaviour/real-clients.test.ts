/** Clients as people have them, each in its own way of speaking HTTP. Rules H8, H12, H19, C13. */
import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl, type Certificates } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream, type HttpUpstream } from '../support/upstream.ts';

const execute = promisify(execFile);
const key = createKey('EdDSA');
const token = mint(key);

/** Why a client's tests are skipped; false where it is there. */
function missing(command: string, argument: string, debianPackage: string): string | false {
  const { status, error } = spawnSync(command, [argument]);
  return (
    (error !== undefined || status === null) &&
    `${command} is not installed: apt-get install -y ${debianPackage}`
  );
}

interface Scene {
  readonly folder: string;
  readonly authority: Certificates;
  readonly plain: TestGateway;
  readonly tls: TestGateway;
  /** HTTP/2 in plaintext, and HTTP/1.1. */
  readonly h2c: TestGateway;
  readonly upstream: HttpUpstream;
}

async function setUp(t: Test, more: Record<string, unknown> = {}): Promise<Scene> {
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  authority.issue('server', 'IP:127.0.0.1', 'DNS:localhost');
  const upstream = await startUpstream(t);
  const start = (listener: Record<string, unknown>): Promise<TestGateway> =>
    startGateway(
      t,
      {
        listeners: [{ host: '127.0.0.1', port: 0, ...listener }],
        issuers: { login: loginIssuer(key) },
        timeouts: { drain: '1s' },
        routes: [{ name: 'all', match: {}, upstream: 'u' }],
        upstreams: { u: { targets: [upstream.url] } },
        ...more,
      },
      { folder },
    );
  return {
    folder,
    authority,
    upstream,
    plain: await start({}),
    h2c: await start({ protocols: ['h2c', 'http/1.1'] }),
    tls: await start({ tls: { cert_file: 'server.crt', key_file: 'server.key' } }),
  };
}

const authorization = `authorization: Bearer ${token}`;

t.test('curl', { skip: noOpenssl || missing('curl', '--version', 'curl') }, async (t) => {
  const { plain, tls, h2c, authority, upstream } = await setUp(t);
  const curl = async (...args: readonly string[]): Promise<string> =>
    (
      await execute('curl', [
        '-sS',
        '--max-time',
        '20',
        '--noproxy',
        '*',
        '-w',
        '\n%{http_code} %{http_version}',
        ...args,
      ])
    ).stdout;
  const https = `https://127.0.0.1:${tls.port}`;

  t.test('C13 --http2 in plaintext offers h2c, and is served as if it had not', async (t) => {
    t.equal(await curl('--http2', '-H', authorization, `${plain.url}/a`), 'ok\n200 1.1');
    t.notOk(upstream.seen.at(-1)?.headers.upgrade);
    t.notOk(upstream.seen.at(-1)?.headers['http2-settings']);
    t.equal(await curl('--http2', '-H', authorization, '-d', 'body', `${plain.url}/a`), 'ok\n200 1.1');
    t.equal(upstream.seen.at(-1)?.body, 'body');
  });

  t.test('H8 without asking first, HTTP/2 in plaintext is refused', async (t) => {
    const before = upstream.seen.length;
    await t.rejects(curl('--http2-prior-knowledge', '-H', authorization, plain.url));
    t.equal(upstream.seen.length, before);
  });

  t.test('with protocols: [h2c, http/1.1] it is served, and HTTP/1.1 on the same port', async (t) => {
    const prior = ['--http2-prior-knowledge', '-H', authorization];
    t.equal(await curl(...prior, `${h2c.url}/a`), 'ok\n200 2');
    t.equal(await curl(...prior, '-d', 'body', `${h2c.url}/a`), 'ok\n200 2');
    t.equal(upstream.seen.at(-1)?.body, 'body');
    t.match(await curl('--http2-prior-knowledge', h2c.url), /missing_token.*\n401 2$/s);
    t.equal(await curl('--http1.1', '-H', authorization, `${h2c.url}/a`), 'ok\n200 1.1');
    // An offer in Upgrade is dropped all the same (rule C13).
    t.equal(await curl('--http2', '-H', authorization, `${h2c.url}/a`), 'ok\n200 1.1');
  });

  t.test('over TLS: HTTP/2, HTTP/1.1, an upload that waits, a refusal', async (t) => {
    const ca = ['--cacert', authority.ca, '-H', authorization];
    t.equal(await curl('--http2', ...ca, `${https}/a`), 'ok\n200 2');
    t.equal(await curl('--http1.1', ...ca, `${https}/a`), 'ok\n200 1.1');
    const large = 'x'.repeat(3_000_000);
    const file = join(t.testdir({ large }), 'large');
    for (const version of ['--http2', '--http1.1']) {
      const sent = await curl(version, ...ca, '-H', 'expect: 100-continue', '-T', file, `${https}/put`);
      t.match(sent, /^ok\n200/);
      t.equal(upstream.seen.at(-1)?.body.length, large.length, version);
    }
    const before = upstream.seen.length;
    for (const version of ['--http2', '--http1.1']) {
      const refused = await curl(version, '--cacert', authority.ca, '-T', file, `${https}/put`);
      t.match(refused, /missing_token.*\n\n401/s, `${version}: refused while it still uploads`);
    }
    t.equal(upstream.seen.length, before, 'the upstream saw nothing');
  });
});

t.test(
  'nghttp and h2load',
  { skip: noOpenssl || missing('h2load', '--version', 'nghttp2-client') },
  async (t) => {
    const { tls, h2c, upstream } = await setUp(t);
    const url = `https://127.0.0.1:${tls.port}/a`;
    const { stdout } = await execute('nghttp', ['-v', '-H', authorization, url]);
    t.match(stdout, /:status: 200/);
    t.notMatch(stdout, /GOAWAY.*\n.*error_code=(?!NO_ERROR)/);
    const before = upstream.seen.length;
    const load = await execute('h2load', ['-n', '2000', '-c', '5', '-m', '50', '-H', authorization, url]);
    t.match(load.stdout, /2000 succeeded, 0 failed, 0 errored, 0 timeout/);
    t.match(load.stdout, /status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx/);
    t.equal(upstream.seen.length - before, 2_000);
    const plain = await execute('h2load', [
      '-n',
      '2000',
      '-c',
      '5',
      '-m',
      '50',
      '-H',
      authorization,
      `${h2c.url}/a`,
    ]);
    t.match(plain.stdout, /status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx/);
    t.match(plain.stdout, /Application protocol: h2c/);
    t.equal(upstream.seen.length - before, 4_000);
  },
);

const JAVA = `
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Main {
  static HttpClient client;
  static SSLContext trusting(String file) throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null);
    store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(new FileInputStream(file)));
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return context;
  }
  static String send(String url, String token, String body) throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url));
    if (token != null) request.header("Authorization", "Bearer " + token);
    if (body != null) request.POST(BodyPublishers.ofString(body));
    HttpResponse<String> response = client.send(request.build(), BodyHandlers.ofString());
    return response.statusCode() + " " + response.version() + " " + response.body().strip();
  }
  public static void main(String[] args) throws Exception {
    String token = args[2];
    client = HttpClient.newBuilder().sslContext(trusting(args[3])).build();
    for (int i = 0; i < 2; i++) {
      String url = args[i];
      for (int round = 0; round < 20; round++) {
        System.out.println(send(url, token, null));
        System.out.println(send(url, token, "x".repeat(100000)));
      }
      System.out.println(send(url, null, "x".repeat(100000)).replaceAll("\\\\{.*", "refused"));
      System.out.println(send(url, token, null));
    }
  }
}`;

t.test(
  'Java’s HttpClient, which offers h2c with every request in plaintext',
  { skip: noOpenssl || missing('java', '-version', 'default-jdk-headless') },
  async (t) => {
    const { folder, authority, plain, tls, upstream } = await setUp(t);
    const file = join(folder, 'Main.java');
    writeFileSync(file, JAVA);
    // It runs for a moment: what makes it quick later on is left out.
    const { stdout } = await execute('java', [
      ...['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', file],
      ...[`${plain.url}/a`, `https://localhost:${tls.port}/a`, token, authority.ca],
    ]);
    const of = (version: string): string[] => [
      ...Array.from({ length: 40 }, () => `200 ${version} ok`),
      `401 ${version} refused`,
      `200 ${version} ok`,
    ];
    t.strictSame(stdout.trim().split('\n'), [...of('HTTP_1_1'), ...of('HTTP_2')]);
    t.equal(upstream.seen.length, 82);
    t.ok(upstream.seen.every(({ method, body }) => method === 'GET' || body.length === 100_000));
  },
);

t.test(
  'slowhttptest: slow headers, slow bodies and slow readers end, and others are served meanwhile',
  { skip: noOpenssl || missing('slowhttptest', '-h', 'slowhttptest') },
  async (t) => {
    const { plain } = await setUp(t, {
      timeouts: { headers: '1s', idle: '2s', drain: '1s' },
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' }, timeouts: { idle: '1s' } }],
    });
    const attacks: Record<string, readonly string[]> = {
      'slow headers': ['-H', '-i', '10'],
      'slow bodies': ['-B', '-i', '10', '-s', '8192'],
      'slow readers': ['-X', '-w', '1', '-y', '2', '-n', '5', '-z', '32'],
    };
    const play = async ([name, attack]: [string, readonly string[]]): Promise<void> => {
      const running = execute('slowhttptest', [
        ...attack,
        ...['-c', '200', '-r', '200', '-l', '4', '-p', '3', '-u', `${plain.url}/`],
      ]);
      const { status } = await send(plain.url, '/');
      t.equal(status, 200, `${name}: others are served`);
      const { stdout } = await running;
      // In colours.
      const text = stripVTControlCharacters(stdout);
      t.match(text, /service available:\s+YES/, name);
      t.notMatch(text, /service available:\s+NO/, name);
    };
    await Promise.all(Object.entries(attacks).map(play));
    t.equal(await plain.metric('sallyport_requests_in_flight'), 0);
  },
);
