/** Health checks by the health protocol of gRPC, against a server of grpc-js. */
import { writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { sallyport } from '../support/command.ts';
import { OPEN } from '../support/forwarding.ts';
import { startGateway, until, withTestPorts } from '../support/gateway.ts';
import { startGrpcHealth } from '../support/grpc-health.ts';
import { startHttp2Server } from '../support/http2-upstream.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { startUpstream } from '../support/upstream.ts';

const health = (service: string): object => ({
  grpc: service,
  interval: '10s',
  // On the clock that the test moves.
  timeout: '1h',
  healthy_after: 1,
  unhealthy_after: 1,
});

async function startChecked(t: Test, target: string, service: string) {
  const clock = new ManualClock();
  const gateway = await startGateway(
    t,
    { routes: [OPEN], upstreams: { u: { targets: [target], health: health(service) } } },
    { clock },
  );
  const targets = async (): Promise<{ healthy: boolean; cause?: string }[]> => {
    const status = (await (await gateway.admin('GET', '/v1/status')).json()) as {
      upstreams: { targets: { healthy: boolean; cause?: string }[] }[];
    };
    return status.upstreams[0]?.targets ?? [];
  };
  return {
    gateway,
    /** The result of the next checks, once it is this. */
    becomes: async (healthy: boolean): Promise<string | undefined> => {
      await until(async () => {
        clock.advance(1_000);
        return (await targets())[0]?.healthy === healthy;
      });
      return (await targets())[0]?.cause;
    },
  };
}

t.test('SERVING is up; everything else is down, and the cause is in the log and in the status', async (t) => {
  for (const service of ['', 'shop.Orders', `long.${'x'.repeat(300)}.Ü`]) {
    const server = await startGrpcHealth(t);
    server.statuses.set(service, 'SERVING');
    const { gateway, becomes } = await startChecked(t, server.url, service);
    await until(() => server.asked.length > 0);
    for (const [status, cause] of [
      ['NOT_SERVING', /NOT_SERVING/],
      ['UNKNOWN', /UNKNOWN/],
      ['SERVICE_UNKNOWN', /SERVICE_UNKNOWN/],
      [undefined, /NOT_FOUND/],
    ] as const) {
      if (status === undefined) server.statuses.delete(service);
      else server.statuses.set(service, status);
      t.match(await becomes(false), cause);
      t.match(gateway.log.findLast(({ target }) => target === server.url)?.['cause'], cause);
      server.statuses.set(service, 'SERVING');
      t.equal(await becomes(true), undefined);
    }
    t.ok(
      server.asked.every((asked) => asked === service),
      'it is asked for this service',
    );
  }
});

t.test('a server without the service, one that is no gRPC, one that is not there: down', async (t) => {
  const bare = await startGrpcHealth(t, { isKnown: false });
  const other = await startHttp2Server(t, (_, response) => void response.end('SERVING'));
  const broken = await startHttp2Server(t, ({ stream }) => stream.close(2));
  for (const [url, cause] of [
    [bare.url, /UNIMPLEMENTED/],
    [other.url, /grpc-status/],
    [broken.url, /reset/],
    ['h2c://127.0.0.1:1', /ECONNREFUSED/],
  ] as const) {
    const { becomes } = await startChecked(t, url, '');
    t.match(await becomes(false), cause);
  }
});

t.test('check wants one way of asking, and HTTP/2 for that of gRPC', async (t) => {
  const file = `${temporaryFolder(t)}/c.json`;
  const check = (targets: readonly string[], asks: object) => {
    const upstreams = { u: { targets, health: asks } };
    writeFileSync(file, JSON.stringify(withTestPorts({ routes: [OPEN], upstreams })), { mode: 0o600 });
    return sallyport(['check', '-c', file]);
  };
  t.match(await check(['h2c://127.0.0.1:1'], { grpc: '' }), { code: 0 });
  for (const [targets, asks] of [
    [['http://127.0.0.1:1'], { grpc: '' }],
    [['h2c://127.0.0.1:1', 'https://127.0.0.1:1'], { grpc: 'x' }],
    [['h2c://127.0.0.1:1'], { grpc: '', path: '/' }],
    [['h2c://127.0.0.1:1'], { interval: '1s' }],
  ] as const) {
    const { code, err } = await check(targets, asks);
    t.equal(code, 1, JSON.stringify(asks));
    t.match(err, /upstreams\.u\.health/);
  }
});

t.test('check --online asks what health checks ask', async (t) => {
  const file = `${temporaryFolder(t)}/c.json`;
  const server = await startGrpcHealth(t);
  const http = await startUpstream(
    t,
    ({ url }, response) => void response.writeHead(url === '/ok' ? 204 : 503).end(),
  );
  const check = (target: string, asks: object) => {
    const upstreams = { u: { targets: [target], health: asks } };
    writeFileSync(file, JSON.stringify(withTestPorts({ routes: [OPEN], upstreams })), { mode: 0o600 });
    return sallyport(['check', '-c', file, '--online']);
  };
  server.statuses.set('up', 'SERVING').set('down', 'NOT_SERVING');
  t.match(await check(server.url, { grpc: 'up' }), { code: 0, out: /SERVING/ });
  t.match(await check(server.url, { grpc: 'down' }), { code: 1, out: /NOT_SERVING/ });
  t.match(await check(http.url, { path: '/ok' }), { code: 0, out: /204/ });
  t.match(await check(http.url, { path: '/' }), { code: 1, out: /503/ });
});
