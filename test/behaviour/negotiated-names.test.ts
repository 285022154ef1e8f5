/** `protocol: auto` where the target is a name: each of its servers chooses. */
import t from 'tap';
import { startAlpnUpstream } from '../support/alpn-upstream.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { startGateway, until } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { nextResolution, OPEN, steady, targetOf } from '../support/moving-targets.ts';
import { temporaryFolder } from '../support/process.ts';

for (const scheme of ['https', 'srv+https']) {
  t.test(
    `${scheme}: of two addresses one speaks HTTP/2 and one HTTP/1.1, and both get requests; one that vanishes is drained`,
    { skip: noOpenssl },
    async (t) => {
      const folder = temporaryFolder(t);
      const files = certificateAuthority(folder).issue('server', 'DNS:orders.test');
      const http2 = await startAlpnUpstream(t, files, undefined, { address: '127.0.0.2' });
      const port = Number(new URL(http2.url).port);
      const http1 = await startAlpnUpstream(t, files, undefined, { address: '127.0.0.3', port });
      http1.choice = () => 'http/1.1';
      const both = ['127.0.0.2', '127.0.0.3'];
      const dns = await startDnsServer(t, {
        '_https._tcp.orders.test': { srv: [[0, 1, port, 'orders.test']] },
        'orders.test': { a: both },
      });
      const clock = new ManualClock();
      const target =
        scheme === 'https' ? `https://orders.test:${port}` : 'srv+https://_https._tcp.orders.test';
      const gateway = await startGateway(
        t,
        {
          dns: { servers: [dns.address] },
          routes: [OPEN],
          upstreams: { u: { targets: [target], protocol: 'auto', tls: { ca_file: 'ca.crt' } } },
        },
        { folder, clock },
      );
      const hits = async (count: number): Promise<Record<string, number>> => {
        const found: Record<string, number> = {};
        for (let index = 0; index < count; index++) {
          const { body } = await send(gateway.url, '/', { method: 'POST', body: 'x' });
          found[body] = (found[body] ?? 0) + 1;
        }
        return found;
      };
      const become = async (a: readonly string[]): Promise<void> => {
        dns.records.set('orders.test', { a });
        await nextResolution(gateway, clock);
      };
      t.strictSame(await steady(hits, 6, { '2.0': 3, '1.1': 3 }), { '2.0': 3, '1.1': 3 });
      t.strictSame([http2.sockets.size, http1.sockets.size], [1, 1], 'connections are kept');
      t.ok((await targetOf(gateway)).members.every(({ healthy }) => healthy));

      await become(both.slice(1));
      t.strictSame(await steady(hits, 4, { '1.1': 4 }), { '1.1': 4 });
      await until(() => http2.sockets.size === 0);
      await become(both.slice(0, 1));
      t.strictSame(await steady(hits, 4, { '2.0': 4 }), { '2.0': 4 });
      await until(() => http1.sockets.size === 0);
      await become(both);
      t.strictSame(await steady(hits, 6, { '2.0': 3, '1.1': 3 }), { '2.0': 3, '1.1': 3 });
    },
  );
}

t.test(
  'the address that takes no connection is passed over, whatever the method',
  { skip: noOpenssl },
  async (t) => {
    const folder = temporaryFolder(t);
    const files = certificateAuthority(folder).issue('server', 'DNS:orders.test');
    const upstream = await startAlpnUpstream(t, files, undefined, { address: '127.0.0.3' });
    const dns = await startDnsServer(t, { 'orders.test': { a: ['127.0.0.2', '127.0.0.3'] } });
    const target = `https://orders.test:${new URL(upstream.url).port}`;
    const gateway = await startGateway(
      t,
      {
        dns: { servers: [dns.address] },
        routes: [OPEN],
        upstreams: { u: { targets: [target], protocol: 'auto', tls: { ca_file: 'ca.crt' } } },
      },
      { folder, clock: new ManualClock() },
    );
    for (let index = 0; index < 4; index++)
      t.equal((await send(gateway.url, '/', { method: 'POST', body: 'x' })).body, '2.0');
    t.strictSame(
      (await targetOf(gateway)).members.map(({ address, state }) => `${address} ${state}`),
      ['127.0.0.2 unreachable', '127.0.0.3 up'],
    );
  },
);
