/** h2spec, a conformance test of HTTP/2, against the gateway's listeners. What fails is known, and explained below by the RFC. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { startGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { startUpstream } from '../support/upstream.ts';
import { installed, notInstalled, run, sourceOf } from './support/installed.ts';
import { missing } from './support/toolchain.ts';

/** The cases that fail. Why each is right stands in docs/decisions/http2.md. */
const KNOWN = [
  'http2/5.1: closed: Sends a DATA frame',
  'http2/5.1: closed: Sends a DATA frame after sending RST_STREAM frame',
  'http2/5.1: closed: Sends a HEADERS frame',
  'http2/5.1: closed: Sends a HEADERS frame after sending RST_STREAM frame',
  'http2/5.1.1: Sends stream identifier that is numerically smaller than previous',
  'http2/5.3.1: Sends PRIORITY frame that depend on itself',
  'http2/6.7: Sends a PING frame with ACK',
  'http2/6.9.1: Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream',
].sort();
/** Where HTTP/1.1 is served on the same port, what is no preface gets its 400, which h2spec cannot read. */
const KNOWN_BESIDE_HTTP1 = ['http2/3.5: Sends invalid connection preface', ...KNOWN];
/** On a busy machine the response is complete before the frame comes, which is then one on a closed stream. */
const RACES =
  /^http2\/(?:6\.1: Sends a DATA frame on the stream that is not in|5\.1: half closed \(remote\): Sends a )/;
/** h2spec accepts a closed connection, and takes a reset one for an error of its own: it compares Go's error with an older form. */
const RESET = /Connection closed\s+Error: read tcp \S+ read: connection reset by peer/;
/** h2spec 2.2.1 has this many; fewer would mean that it did not run to its end. */
const CASES = 145;

function program(): string {
  const sources = ['h2spec/go.mod', 'h2spec/go.sum'].map(sourceOf);
  const folder = installed('h2spec', sources, (folder) => {
    const build = ['build', '-buildvcs=false', '-trimpath', '-ldflags', '-s -w', '-o', folder];
    run('go', [...build, 'github.com/summerwind/h2spec/cmd/h2spec'], sourceOf('h2spec'));
  });
  return join(folder, 'h2spec');
}

interface Outcome {
  readonly cases: number;
  readonly failed: string[];
}

async function conformance(folder: string, port: number, ...more: readonly string[]): Promise<Outcome> {
  const report = join(folder, `${port}.xml`);
  // Two seconds are its default, which a busy machine exceeds; the known cases that wait for it are few.
  const options = ['-h', '127.0.0.1', '-p', String(port), '-o', '3', '-j', report, ...more];
  const child = spawn(program(), options, { stdio: 'ignore' });
  await once(child, 'close');
  const cases = readFileSync(report, 'utf8').matchAll(
    /<testcase package="([^"]+)" classname="([^"]+)"[^>]*>(?:\s*<(?:error|failure)\b([^]*?)<\/(?:error|failure)>)?/g,
  );
  const outcomes = [...cases].map(([, section, name, error]) => ({ name: `${section}: ${name}`, error }));
  const failed = outcomes
    .filter(({ name, error }) => error !== undefined && !RESET.test(error) && !RACES.test(name))
    .map(({ name }) => name);
  return { cases: outcomes.length, failed: failed.sort() };
}

const skip = noOpenssl || missing('Go') || notInstalled('h2spec', program);
t.test('h2spec', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  certificateAuthority(folder).issue('server', 'IP:127.0.0.1');
  const upstream = await startUpstream(t);
  const at = { host: '127.0.0.1', port: 0 };
  const gateway = await startGateway(
    t,
    {
      listeners: [
        { ...at, tls: { cert_file: 'server.crt', key_file: 'server.key' } },
        { ...at, protocols: ['h2c'] },
        { ...at, protocols: ['h2c', 'http/1.1'] },
      ],
      routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
      upstreams: { u: { targets: [upstream.url] } },
      timeouts: { drain: '100ms' },
    },
    { folder },
  );
  const [tls = 0, h2c = 0, both = 0] = gateway.instance.listeners.map(({ address }) => address.port);
  t.strictSame(await conformance(folder, tls, '-t', '-k'), { cases: CASES, failed: KNOWN }, 'TLS');
  t.strictSame(await conformance(folder, h2c), { cases: CASES, failed: KNOWN }, 'h2c');
  t.strictSame(
    await conformance(folder, both),
    { cases: CASES, failed: KNOWN_BESIDE_HTTP1 },
    'h2c beside HTTP/1.1',
  );
});
