/** Two gateways behind HAProxy, restarted by turns under load: no client notices. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type ClientHttp2Session } from 'node:http2';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { WebSocket } from 'ws';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { loginIssuer, until } from '../support/gateway.ts';
import { startGatewayProcess, temporaryFolder, type GatewayProcess } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startEcho, startUpstream } from '../support/upstream.ts';

const noHaproxy =
  spawnSync('haproxy', ['-v']).status !== 0 && 'haproxy is not installed: apt-get install -y haproxy';
/** Each gateway once. */
const RESTARTS = 2;
/** Between two requests of a client: load enough to meet every moment of a restart, and time for the processes under test. */
const BREATH_MS = 3;
const key = createKey('EdDSA');
const token = mint(key);

/** Each gateway: its listeners for HTTP/1.1 and for HTTP/2, and its admin listener. */
interface Place {
  readonly http1: number;
  readonly http2: number;
  readonly admin: number;
}

interface Haproxy {
  readonly http1: number;
  readonly http2: number;
  /** How many places of the two backends get requests. */
  serversUp(): Promise<number>;
}

async function startHaproxy(t: Test, folder: string, places: readonly Place[]): Promise<Haproxy> {
  const [http1, http2, stats] = [await freePort(), await freePort(), await freePort()];
  const servers = (port: (place: Place) => number, more = ''): string =>
    places
      .map(
        (place, index) =>
          `  server g${index} 127.0.0.1:${port(place)} ${more} check port ${place.admin} check-alpn http/1.1 no-check-ssl`,
      )
      .join('\n');
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  maxconn 1000
defaults
  mode http
  timeout connect 60s
  timeout check 60s
  timeout client 10m
  timeout server 10m
  timeout tunnel 10m
  option httpchk GET /readyz
  option redispatch 1
  retries 5
  default-server inter 50ms fall 1 rise 1
frontend stats
  bind 127.0.0.1:${stats}
  stats enable
  stats uri /
frontend http1
  bind 127.0.0.1:${http1}
  default_backend http1
frontend http2
  bind 127.0.0.1:${http2} proto h2
  default_backend http2
backend http1
${servers(({ http1 }) => http1)}
backend http2
${servers(({ http2 }) => http2, 'ssl verify none alpn h2')}
`,
  );
  const haproxy = spawn('haproxy', ['-f', file, '-db'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  haproxy.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  t.teardown(async () => {
    haproxy.kill('SIGKILL');
    if (haproxy.exitCode === null) await once(haproxy, 'close');
  });
  haproxy.on('exit', (code) => {
    if (code !== null) t.fail(`haproxy ended: ${output}`);
  });
  return {
    http1,
    http2,
    async serversUp() {
      const text = await (await fetch(`http://127.0.0.1:${stats}/;csv`)).text();
      return text.split('\n').filter((line) => /^http[12],g\d,/.test(line) && line.includes(',UP,')).length;
    },
  };
}

t.test('rolling restarts', { skip: noHaproxy || noOpenssl }, async (t) => {
  const folder = temporaryFolder(t);
  certificateAuthority(folder).issue('server', 'IP:127.0.0.1');
  const upstream = await startUpstream(t);
  const echo = await startEcho(t);
  const places: Place[] = [];
  for (let index = 0; index < 2; index++)
    places.push({ http1: await freePort(), http2: await freePort(), admin: await freePort() });
  const configuration = ({ http1, http2, admin }: Place): Record<string, unknown> => ({
    listeners: [
      { host: '127.0.0.1', port: http1 },
      { host: '127.0.0.1', port: http2, tls: { cert_file: 'server.crt', key_file: 'server.key' } },
    ],
    admin: { port: admin },
    timeouts: { drain_delay: '2s', drain: '60s' },
    issuers: { login: loginIssuer(key) },
    routes: [
      { name: 'all', match: {}, upstream: 'u' },
      { name: 'ws', match: { path_prefix: '/ws' }, upstream: 'echo', upgrade: ['websocket'] },
    ],
    upstreams: { u: { targets: [upstream.url] }, echo: { targets: [echo] } },
  });
  const start = (place: Place): Promise<GatewayProcess> =>
    startGatewayProcess(t, configuration(place), folder);
  const gateways = [await start(places[0] as Place), await start(places[1] as Place)];
  const haproxy = await startHaproxy(t, folder, places);
  const { http1, http2 } = haproxy;
  const allUp = async (): Promise<boolean> =>
    (await haproxy.serversUp().catch(() => 0)) === 2 * places.length;
  await until(allUp);

  const failures: string[] = [];
  const counts = { http1: 0, http2: 0, upload: 0, webSocket: 0 };
  let over = false;
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const authorization = `Bearer ${token}`;

  const overHttp1 = async (): Promise<void> => {
    while (!over) {
      await pause(BREATH_MS);
      const request = httpRequest({ port: http1, host: '127.0.0.1', agent, headers: { authorization } });
      request.end();
      try {
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        response.resume();
        await once(response, 'end');
        if (response.statusCode === 200) counts.http1++;
        else failures.push(`http1: ${response.statusCode}`);
      } catch (error) {
        failures.push(`http1: ${String(error)}`);
      }
    }
  };
  const overHttp2 = async (session: ClientHttp2Session): Promise<void> => {
    while (!over) {
      await pause(BREATH_MS);
      const stream = session.request({ authorization });
      stream.resume();
      const { promise, resolve } = Promise.withResolvers<unknown>();
      let status: unknown = 'no response';
      stream.on('response', (headers) => (status = headers[':status']));
      stream.on('error', (error) => (status = error.message));
      stream.on('close', () => resolve(status));
      if ((await promise) === 200) counts.http2++;
      else failures.push(`http2: ${String(status)}`);
    }
  };
  /** One that takes longer than a restart. */
  const upload = async (): Promise<void> => {
    while (!over) {
      const request = httpRequest({
        ...{ port: http1, host: '127.0.0.1', method: 'POST', agent: false },
        headers: { authorization, 'content-length': 20 * 1024 },
      });
      const responded = once(request, 'response') as Promise<[IncomingMessage]>;
      // It is awaited below; until then a failure waits for that.
      responded.catch(() => undefined);
      for (let part = 0; part < 20; part++) {
        request.write(Buffer.alloc(1024));
        await pause(25);
      }
      request.end();
      try {
        const [response] = await responded;
        response.resume();
        if (response.statusCode === 200) counts.upload++;
        else failures.push(`upload: ${response.statusCode}`);
      } catch (error) {
        failures.push(`upload: ${String(error)}`);
      }
    }
  };
  /** A conversation that ends by itself, before a drain would end it. */
  const converse = async (): Promise<void> => {
    while (!over) {
      const socket = new WebSocket(`ws://127.0.0.1:${http1}/ws`, { headers: { authorization } });
      try {
        await once(socket, 'open');
        for (let message = 0; message < 5; message++) {
          socket.send(`message ${message}`);
          const [echoed] = (await once(socket, 'message')) as [Buffer];
          if (echoed.toString() !== `message ${message}`) failures.push('webSocket: another message');
          await pause(50);
        }
        socket.close();
        await once(socket, 'close');
        counts.webSocket++;
      } catch (error) {
        failures.push(`webSocket: ${String(error)}`);
      }
    }
  };

  const session = connect(`http://127.0.0.1:${http2}`);
  session.on('error', (error) => failures.push(`session: ${error.message}`));
  t.teardown(() => session.destroy());
  const load = [
    overHttp1(),
    overHttp1(),
    overHttp2(session),
    overHttp2(session),
    upload(),
    upload(),
    converse(),
    converse(),
  ];
  for (let restart = 0; restart < RESTARTS; restart++) {
    const index = restart % 2;
    const old = gateways[index];
    old?.kill('SIGTERM');
    t.equal(await old?.exited, 0);
    gateways[index] = await start(places[index] as Place);
    // HAProxy is to have seen it before the other goes.
    await until(allUp);
  }
  await until(() => failures.length > 0 || Object.values(counts).every((count) => count > 10));
  over = true;
  await Promise.all(load);
  agent.destroy();
  t.strictSame(failures, []);
  t.comment(JSON.stringify(counts));
});
