/** `dns`, and targets of SRV records: what is valid, and where a problem is reported. */
import t from 'tap';
import { ConfigurationError, parseConfiguration } from '../../src/config/load.ts';
import { readTargetUrl } from '../../src/http/target-url.ts';

function problems(more: Record<string, unknown>, target = 'http://orders:80'): string {
  const configuration = {
    routes: [{ name: 'a', match: {}, upstream: 'u', auth: { mode: 'none' } }],
    upstreams: { u: { targets: [target] } },
    ...more,
  };
  try {
    parseConfiguration(JSON.stringify(configuration), 'test.json', '/tmp', {});
    return '';
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.problems.join('\n');
  }
}

t.test('DNS servers are addresses, with or without a port', async (t) => {
  for (const server of ['10.0.0.2', '127.0.0.1:5353', 'fd00::2', '[fd00::2]', '[fd00::2]:5353'])
    t.equal(problems({ dns: { servers: [server] } }), '', server);
  for (const server of [
    'ns.example.com',
    '10.0.0.2:0',
    '10.0.0.2:99999',
    '10.0.0',
    '',
    '[10.0.0.2',
    'udp://10.0.0.2',
  ])
    t.match(problems({ dns: { servers: [server] } }), /dns\.servers/, server);
  t.match(problems({ dns: { servers: [] } }), /dns\.servers/);
  t.match(problems({ dns: { ttl: '5s' } }), /ttl/);
});

t.test('a target of SRV records has a protocol, a name, and no port', async (t) => {
  const read = (text: string): unknown => {
    const { origin, isHttp2, service, text: shown } = readTargetUrl(text) ?? {};
    return [origin?.href, isHttp2, service, shown];
  };
  const name = '_http._tcp.orders.test';
  t.strictSame(read(`srv://${name}`), ['http://orders.test/', false, name, `srv://${name}`]);
  t.strictSame(read(`SRV+HTTPS://${name}`), ['https://orders.test/', false, name, `srv+https://${name}`]);
  t.strictSame(read(`srv+h2c://${name}`), ['http://orders.test/', true, name, `srv+h2c://${name}`]);
  t.strictSame(read(`srv+h2://orders.test`), [
    'https://orders.test/',
    true,
    'orders.test',
    'srv+h2://orders.test',
  ]);
  for (const bad of [
    `srv://${name}:80`,
    'srv://127.0.0.1',
    'srv://[::1]',
    'srv://_http._tcp',
    'srv://',
    `srv+ftp://${name}`,
    `srv://${name}/path`,
    `srv://user@${name}`,
  ]) {
    t.equal(readTargetUrl(bad), undefined, bad);
    t.match(problems({}, bad), /upstreams\.u\.targets/, bad);
  }
});

t.test('what goes with the protocol of a target goes with that of SRV records', async (t) => {
  const upgrade = {
    routes: [{ name: 'a', match: {}, upstream: 'u', auth: { mode: 'none' }, upgrade: ['websocket'] }],
  };
  t.match(problems(upgrade, 'srv+h2c://_grpc._tcp.orders.test'), /upgrade/);
  t.equal(problems(upgrade, 'srv://_http._tcp.orders.test'), '');
  const tls = (target: string) => ({
    upstreams: { u: { targets: [target], tls: { server_name: 'a.test' } } },
  });
  t.match(problems(tls('srv://_http._tcp.orders.test')), /upstreams\.u\.tls/);
  t.equal(problems(tls('srv+https://_http._tcp.orders.test')), '');
});
