/** Redis behind TLS, with certificates on both sides: alone, found through Sentinel, and as a cluster. */
import t from 'tap';
import { ConfigurationError } from '../../src/config/load.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, until } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { freePort, startRedis } from '../support/redis.ts';
import { createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

t.test('revocations over TLS', { skip: noOpenssl }, async (t) => {
  const key = createKey('EdDSA');
  const upstream = await startUpstream(t);
  const folder = temporaryFolder(t);
  const authority = certificateAuthority(folder);
  const server = authority.issue('server', 'IP:127.0.0.1', 'DNS:redis.internal');
  authority.issue('gateway');
  certificateAuthority(folder, 'stranger');
  const tlsOf = (port: number, ...more: string[]): string[] => [
    `tls-port ${port}`,
    `tls-cert-file ${server.cert}`,
    `tls-key-file ${server.key}`,
    `tls-ca-cert-file ${authority.ca}`,
    'tls-auth-clients yes',
    'tls-replication yes',
    ...more,
  ];
  const tls = { ca_file: 'ca.crt', cert_file: 'gateway.crt', key_file: 'gateway.key' };
  const configuration = (revocation: Record<string, unknown>) => ({
    issuers: { login: loginIssuer(key) },
    revocation,
    routes: [{ name: 'all', match: {}, upstream: 'u' }],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const port = await freePort();
  await startRedis(t, { options: tlsOf(port) });
  const sentinelPort = await freePort();
  await startRedis(t, {
    persistent: false,
    options: tlsOf(sentinelPort, `sentinel monitor main 127.0.0.1 ${port} 1`),
  });
  const clusterPort = await freePort();
  const node = await startRedis(t, {
    persistent: false,
    options: tlsOf(
      clusterPort,
      'cluster-enabled yes',
      `cluster-port ${await freePort()}`,
      'tls-cluster yes',
      'cluster-announce-ip 127.0.0.1',
    ),
  });
  await node.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  await until(async () => (await node.command('CLUSTER', 'INFO')).includes('cluster_state:ok'));

  const stores: Record<string, unknown> = {
    'rediss://': `rediss://127.0.0.1:${port}/0`,
    Sentinel: { sentinels: [`127.0.0.1:${sentinelPort}`], name: 'main', tls: true },
    'a cluster': { cluster: [`127.0.0.1:${clusterPort}`], tls: true },
  };
  for (const [name, store] of Object.entries(stores)) {
    t.test(name, async (t) => {
      const revocation = { store, tls, key_prefix: name.replace(/\W/g, '') };
      const [first, second] = [
        await startGateway(t, configuration(revocation), { folder }),
        await startGateway(t, configuration(revocation), { folder }),
      ];
      const token = mint(key);
      t.equal((await send(second.url, '/', { token })).status, 200);
      t.equal((await first.admin('POST', '/v1/revocations', { token })).status, 201);
      await until(async () => (await send(second.url, '/', { token })).status === 401);
      t.pass('the other gateway refuses it');
    });
  }

  const strangers: Record<string, [Record<string, unknown>, RegExp]> = {
    'an authority that is not trusted': [
      { ...tls, ca_file: 'stranger.crt' },
      /certificate|self-signed|verify/i,
    ],
    'another name than the certificate’s': [
      { ...tls, server_name: 'elsewhere.internal' },
      /altnames|Hostname/i,
    ],
    'no certificate of our own': [{ ca_file: 'ca.crt' }, /certificate required|closed|ECONNRESET|alert/i],
  };
  for (const [name, [section, why]] of Object.entries(strangers)) {
    t.test(`${name}: no list is had, and the log says why`, async (t) => {
      const gateway = await startGateway(t, configuration({ store: stores['rediss://'], tls: section }), {
        folder,
        notReady: true,
      });
      await until(() => gateway.log.some(({ level }) => level === 'error'));
      t.match(gateway.log.find(({ level }) => level === 'error')?.['error'], why);
      t.equal((await send(gateway.url, '/', { token: mint(key) })).status, 503);
    });
  }

  t.test('the name that the certificate is for may be given', async (t) => {
    const revocation = { store: stores['rediss://'], tls: { ...tls, server_name: 'redis.internal' } };
    const gateway = await startGateway(t, configuration(revocation), { folder });
    t.equal((await send(gateway.url, '/', { token: mint(key) })).status, 200);
  });

  t.test('what cannot be used is a configuration error', async (t) => {
    const wrong: [Record<string, unknown>, string, RegExp][] = [
      [
        { ca_file: 'missing.crt' },
        'rediss://127.0.0.1:1',
        /revocation\.tls\.ca_file: the file cannot be read/,
      ],
      [{ ca_file: 'ca.crt', cert_file: 'gateway.crt' }, 'rediss://127.0.0.1:1', /needs its key/],
      [{ ...tls, key_file: 'ca.key' }, 'rediss://127.0.0.1:1', /cannot be used/],
      [tls, 'redis://127.0.0.1:1', /has no meaning/],
    ];
    for (const [section, store, message] of wrong) {
      const starting = startGateway(t, configuration({ store, tls: section }), { folder });
      await t.rejects(starting, ConfigurationError);
      await starting.catch((error: ConfigurationError) => t.match(error.problems.join('\n'), message));
    }
  });
});
