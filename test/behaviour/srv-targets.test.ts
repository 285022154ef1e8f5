/** Targets that SRV records name (RFC 2782): ports, priorities, weights, and whose name they go by. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import t from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { startGateway, until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startMembers } from '../support/members.ts';
import { OPEN, steady, targetOf } from '../support/moving-targets.ts';
import { temporaryFolder } from '../support/process.ts';

for (const scheme of ['srv', 'srv+h2c']) {
  t.test(
    `${scheme}: the lowest priority serves, by weight; the next one if all of it are down`,
    async (t) => {
      const isHttp2 = scheme === 'srv+h2c';
      const one = await startMembers(t, ['127.0.0.2'], { isHttp2 });
      const two = await startMembers(t, ['127.0.0.3', '127.0.0.4'], { isHttp2 });
      const spare = await startMembers(t, ['127.0.0.5'], { isHttp2 });
      const dns = await startDnsServer(t, {
        '_http._tcp.orders.test': {
          srv: [
            [10, 1, one.port, 'one.test'],
            [10, 3, two.port, 'two.test'],
            [20, 9, spare.port, 'spare.test'],
          ],
        },
        'one.test': { a: ['127.0.0.2'] },
        'two.test': { a: ['127.0.0.3', '127.0.0.4'] },
        'spare.test': { a: ['127.0.0.5'] },
      });
      const clock = new ManualClock();
      const gateway = await startGateway(
        t,
        {
          dns: { servers: [dns.address] },
          routes: [OPEN],
          upstreams: { u: { targets: [`${scheme}://_http._tcp.orders.test`] } },
        },
        { clock },
      );
      const hosts = new Set<unknown>();
      const hits = async (count: number): Promise<Record<string, number>> => {
        const found: Record<string, number> = {};
        for (let index = 0; index < count; index++) {
          const { body, headers } = await send(gateway.url, '/');
          hosts.add(headers['x-host']);
          found[body] = (found[body] ?? 0) + 1;
        }
        return found;
      };
      t.strictSame(await steady(hits, 8, { '127.0.0.2': 2, '127.0.0.3': 3, '127.0.0.4': 3 }), {
        '127.0.0.2': 2,
        '127.0.0.3': 3,
        '127.0.0.4': 3,
      });
      t.strictSame([...hosts], ['orders.test'], 'Host is the configured name');
      const { members: shown, url } = await targetOf(gateway);
      t.equal(url, `${scheme}://_http._tcp.orders.test`);
      t.strictSame(
        shown.map(({ address, priority }) => `${address} ${priority}`),
        [
          `127.0.0.2:${one.port} 0`,
          `127.0.0.3:${two.port} 0`,
          `127.0.0.4:${two.port} 0`,
          `127.0.0.5:${spare.port} 1`,
        ],
      );
      for (const member of [...one.servers, ...two.servers]) member.stop();
      await hits(4);
      t.strictSame(await steady(hits, 3, { '127.0.0.5': 3 }), { '127.0.0.5': 3 });

      const before = dns.asked.length;
      dns.records.set('_http._tcp.orders.test', {
        srv: [
          [1, 0, spare.port, 'spare.test'],
          [1, 0, 1, 'gone.test'],
        ],
      });
      await until(async () => {
        clock.advance(5_000);
        return dns.asked.length > before && (await targetOf(gateway)).members.length === 1;
      });
      t.strictSame(
        await steady(hits, 2, { '127.0.0.5': 2 }),
        { '127.0.0.5': 2 },
        'a server whose name does not resolve costs nothing',
      );
      dns.records.set('_http._tcp.orders.test', { srv: [[0, 0, 0, '.']] });
      await until(async () => {
        clock.advance(5_000);
        return !(await targetOf(gateway)).resolves;
      });
      t.strictSame(
        await steady(hits, 2, { '127.0.0.5': 2 }),
        { '127.0.0.5': 2 },
        'G6 none at all is no reason to stop',
      );
    },
  );
}

t.test(
  'SNI and certificate are those of the configured name, whatever DNS says',
  { skip: noOpenssl },
  async (t) => {
    const folder = temporaryFolder(t);
    const authority = certificateAuthority(folder);
    const names: unknown[] = [];
    const hosts: unknown[] = [];
    let requests = 0;
    const start = async (name: string, kind = 'DNS'): Promise<number> => {
      const { cert, key } = authority.issue(name, `${kind}:${name}`);
      const server = createTlsServer(
        { cert: readFileSync(cert), key: readFileSync(key) },
        (request, response) => {
          requests++;
          names.push((request.socket as TLSSocket & { servername: unknown }).servername);
          hosts.push(request.headers.host?.replace(/:\d+$/, ''));
          response.end('ok');
        },
      );
      server.listen(0, '127.0.0.2');
      await once(server, 'listening');
      t.teardown(() => {
        server.closeAllConnections();
        server.close();
      });
      return (server.address() as AddressInfo).port;
    };
    const right = await start('orders.test');
    const wrong = await start('pod-1.test');
    const addressed = await start('10.0.0.9', 'IP');
    const dns = await startDnsServer(t, {
      'orders.test': { a: ['127.0.0.2'] },
      'pod-1.test': { a: ['127.0.0.2'] },
      '_https._tcp.orders.test': { srv: [[0, 0, right, 'pod-1.test']] },
      '_bad._tcp.orders.test': { srv: [[0, 0, wrong, 'pod-1.test']] },
    });
    const path = (name: string) => ({ ...OPEN, name, match: { path_prefix: `/${name}` }, upstream: name });
    const upstream = (target: string) => ({ targets: [target], tls: { ca_file: 'ca.crt' } });
    const gateway = await startGateway(
      t,
      {
        dns: { servers: [dns.address] },
        routes: [
          'name',
          'service',
          'rooted',
          'rooted-service',
          'sni',
          'address',
          'bad-address',
          'bad-name',
          'bad-service',
        ].map(path),
        upstreams: {
          name: upstream(`https://orders.test:${right}`),
          service: upstream('srv+https://_https._tcp.orders.test'),
          rooted: upstream(`https://orders.test.:${right}`),
          'rooted-service': upstream('srv+https://_https._tcp.orders.test.'),
          sni: {
            targets: [`https://pod-1.test:${right}`],
            tls: { ca_file: 'ca.crt', server_name: 'orders.test.' },
          },
          address: {
            targets: [`https://orders.test:${addressed}`],
            tls: { ca_file: 'ca.crt', server_name: '10.0.0.9' },
          },
          'bad-address': {
            targets: [`https://orders.test:${addressed}`],
            tls: { ca_file: 'ca.crt', server_name: '10.0.0.8' },
          },
          'bad-name': upstream(`https://orders.test:${wrong}`),
          'bad-service': upstream('srv+https://_bad._tcp.orders.test'),
        },
      },
      { folder },
    );
    t.equal((await send(gateway.url, '/name')).status, 200);
    t.equal((await send(gateway.url, '/service')).status, 200);
    t.equal((await send(gateway.url, '/rooted')).status, 200);
    t.equal((await send(gateway.url, '/rooted-service')).status, 200);
    t.equal((await send(gateway.url, '/sni')).status, 200);
    t.strictSame(
      names,
      ['orders.test', 'orders.test', 'orders.test', 'orders.test', 'orders.test'],
      'the dot of the DNS root is in no SNI',
    );
    t.strictSame(
      hosts,
      ['orders.test', 'orders.test', 'orders.test', 'orders.test', 'pod-1.test'],
      'nor in Host',
    );
    names.length = 0;
    t.equal((await send(gateway.url, '/address')).status, 200);
    t.strictSame(names, [false], 'an address is in the certificate, and in no SNI');
    t.equal((await send(gateway.url, '/bad-address')).status, 502);
    t.equal((await send(gateway.url, '/bad-name')).status, 502);
    t.equal(
      (await send(gateway.url, '/bad-service')).status,
      502,
      'the name in the SRV record counts for nothing',
    );
    t.equal(requests, 6);
  },
);
