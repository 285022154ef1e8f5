/** `sallyport healthcheck`, as a container calls it: what it finds, what it says, and its exit code. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { sallyport, type Result } from '../support/command.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { sallyportProcess, temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';

const PUBLIC = {
  routes: [{ name: 'all', match: {}, upstream: 'u', auth: { mode: 'none' } }],
  upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
};

const adminPort = ({ adminUrl }: TestGateway): number => Number(new URL(adminUrl).port);

/** Writes a configuration as a user has it, and asks. */
function asking(t: Test): (configuration: string | object, ...args: string[]) => Promise<Result> {
  const folder = temporaryFolder(t);
  const file = join(folder, 'sallyport.yaml');
  return (configuration, ...args) => {
    writeFileSync(file, typeof configuration === 'string' ? configuration : JSON.stringify(configuration));
    return sallyport(['healthcheck', '-c', file, ...args]);
  };
}

const adminAt = (port: number, more: object = {}): object => ({ ...PUBLIC, admin: { port, ...more } });

// It takes as long as the command waits: begun first, looked at last.
const silent = createServer();
silent.listen(0, '127.0.0.1');
await once(silent, 'listening');
t.teardown(() => silent.close());
const unanswered = asking(t)(adminAt((silent.address() as AddressInfo).port));

t.test('it exits 0 where the gateway is ready, and says so in one line', async (t) => {
  const gateway = await startGateway(t, PUBLIC);
  const ask = asking(t);
  const configuration = adminAt(adminPort(gateway));
  t.strictSame(await ask(configuration), { code: 0, out: 'ready\n', err: '' });
  t.strictSame(await ask(configuration, '--live'), { code: 0, out: 'alive\n', err: '' });
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'sallyport.yaml'), JSON.stringify(configuration));
  t.match(await sallyportProcess(['healthcheck'], { cwd: folder }), { code: 0, out: 'ready\n' }, 'a process');
});

t.test('a listener on all addresses is asked on loopback', async (t) => {
  const gateway = await startGateway(t, PUBLIC);
  const ask = asking(t);
  t.match(await ask(adminAt(adminPort(gateway), { host: '0.0.0.0' })), { code: 0 });
  const port = await freePort();
  for (const host of ['::', '0:0::0'])
    t.match(await ask(adminAt(port, { host })), { code: 1, err: new RegExp(`http://\\[::1\\]:${port} `) });
});

t.test('it exits 1 where the gateway is not ready, and names what is missing', async (t) => {
  const store = `redis://127.0.0.1:${await freePort()}/0`;
  const gateway = await startGateway(t, { ...PUBLIC, revocation: { store } }, { notReady: true });
  const ask = asking(t);
  t.match(await ask(adminAt(adminPort(gateway))), {
    code: 1,
    out: '',
    err: /^not ready: revocation list: not loaded, and the store is unavailable.*\n$/,
  });
  t.match(await ask(adminAt(adminPort(gateway)), '--live'), { code: 0, out: 'alive\n' });
});

t.test('a gateway that is ready but cannot serve some routes is ready, and says which', async (t) => {
  const issuers = {
    login: { issuer: 'https://login.example.com', jwks_url: 'http://127.0.0.1:1', audiences: ['a'] },
  };
  const routes = [{ name: 'orders', match: {}, upstream: 'u' }];
  const gateway = await startGateway(t, { ...PUBLIC, issuers, routes });
  t.match(await asking(t)(adminAt(adminPort(gateway))), {
    code: 0,
    out: /^ready: keys of login: unavailable; 503 on .*orders.*\n$/,
  });
});

t.test('it exits 1 where nothing listens, and where the port is the choice of the system', async (t) => {
  const ask = asking(t);
  const port = await freePort();
  for (const args of [[], ['--live']])
    t.match(await ask(adminAt(port), ...args), {
      code: 1,
      out: '',
      err: new RegExp(`:${port} .*ECONNREFUSED`),
    });
  t.match(await ask(adminAt(0)), { code: 1, err: /admin\.port is 0/ });
});

t.test('an edit that the gateway does not take, does not make it look ill', async (t) => {
  const gateway = await startGateway(t, PUBLIC);
  const ask = asking(t);
  process.env['HEALTHCHECK_PORT'] = String(adminPort(gateway));
  t.teardown(() => delete process.env['HEALTHCHECK_PORT']);
  const admin = 'admin:\n  port: ${HEALTHCHECK_PORT}\n';
  for (const rest of [
    'rotes: []\n',
    'realm: ${A_VARIABLE_THAT_IS_NOT_SET}\n',
    '  token_file: no-such-file\n',
    'realm: "not closed\n',
    'realm: *no-such-anchor\n'.replace('*no-such-anchor', '&a x'),
  ])
    t.match(await ask(admin + rest), { code: 0, out: 'ready\n' }, rest);
  const bad = 'admin:\n  port: many\n';
  t.match(await ask(bad), { code: 1, err: /sallyport\.yaml:2:9: admin\.port: / }, 'but it needs the address');
  t.match(await ask('- a list\n'), { code: 1, err: /sallyport\.yaml:1:1: / });
  t.match(await sallyport(['healthcheck', '-c', '/no/such/file']), { code: 1, err: /ENOENT/ });
});

t.test(
  'TLS of an authority of your own, for any name, and client certificates',
  { skip: noOpenssl },
  async (t) => {
    const folder = temporaryFolder(t);
    const authority = certificateAuthority(folder);
    const [server, client] = [authority.issue('server', 'DNS:elsewhere.example'), authority.issue('client')];
    const tls = { cert_file: server.cert, key_file: server.key };
    const mutual = { ...tls, client_ca_file: authority.ca };
    const ask = asking(t);
    const portOf = async (admin: object): Promise<number> =>
      adminPort(await startGateway(t, { ...PUBLIC, admin }, { folder }));
    const plain = await portOf({ tls });
    t.match(await ask(adminAt(plain, { tls })), { code: 0, out: 'ready\n' });
    t.match(
      await ask(adminAt(plain)),
      { code: 1, err: /http:\/\/127\.0\.0\.1/ },
      'no TLS where it is needed',
    );
    const strict = await portOf({ tls: mutual });
    const given = ['--admin-cert-file', client.cert, '--admin-key-file', client.key];
    const strictly = adminAt(strict, { tls: mutual });
    t.match(await ask(strictly), {
      code: 1,
      err: /client_ca_file.*--admin-cert-file F and --admin-key-file F/,
    });
    t.match(await ask(strictly, ...given), { code: 0, out: 'ready\n' });
    const optional = { ...mutual, client_certificates: 'optional' };
    t.match(await ask(adminAt(await portOf({ tls: optional }), { tls: optional })), {
      code: 0,
      out: 'ready\n',
    });
  },
);

t.test('a listener that does not respond is given up', async (t) => {
  t.match(await unanswered, { code: 1, out: '', err: /no response within \d s/ });
});
