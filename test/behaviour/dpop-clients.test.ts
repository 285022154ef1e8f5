/** Clients and an authorization server that others wrote, with tokens that are bound to a key of the client. Rules D12 to D15, V1. */
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { DPOP_CLIENTS, type DpopClient } from '../support/dpop-clients.ts';
import {
  DPOP_CLIENT,
  JWT_RESOURCE,
  OPAQUE_RESOURCE,
  SESSION,
  startDpopServer,
} from '../support/dpop-server.ts';
import { ADMIN_TOKEN, advance, startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryFolder } from '../support/process.ts';
import { freePort } from '../support/redis.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream(t);
const issuer = await startDpopServer(t);

interface Scene {
  readonly gateway: TestGateway;
  readonly clock: ManualClock;
}

/** A gateway that asks for nonces. Its clock runs ahead of that of the clients, so proofs may be old. */
async function startScene(t: Test): Promise<Scene> {
  const clock = new ManualClock();
  const port = await freePort();
  const route = (name: string): object => ({
    name,
    match: { path_prefix: `/${name}` },
    upstream: 'u',
    auth: { issuers: [name], sender_constrained: 'required', scopes: ['read'] },
  });
  const gateway = await startGateway(
    t,
    {
      listeners: [{ host: '127.0.0.1', port, public_url: `http://127.0.0.1:${port}` }],
      dpop: {
        nonces: { secret: 'a secret of the fleet, 32 characters or more', rotate: '5m' },
        max_age: '1h',
      },
      revocation: { max_view_age: '2h' },
      issuers: {
        jwt: { issuer, discovery: true, audiences: [JWT_RESOURCE] },
        opaque: {
          issuer,
          introspection: {
            url: `${issuer}/token/introspection`,
            client_id: DPOP_CLIENT.id,
            client_secret: DPOP_CLIENT.secret,
          },
          audiences: [OPAQUE_RESOURCE],
        },
      },
      routes: [route('jwt'), route('opaque')],
      upstreams: { u: { targets: [upstream.url] } },
    },
    { clock },
  );
  return { gateway, clock };
}

/** The statuses since this exchange, with a mark where the response brought a nonce. */
const since = ({ wire }: DpopClient, from: number): string[] =>
  wire.slice(from).map(({ status, nonce }) => `${status}${nonce === null ? '' : ' and a nonce'}`);

for (const [name, create] of Object.entries(DPOP_CLIENTS)) {
  t.test(name, async (t) => {
    const { gateway, clock } = await startScene(t);
    const client = await create(issuer);
    const at = (path: string): string => `${gateway.url}${path}`;
    const asks = async (
      t: Test,
      what: readonly string[],
      ...request: Parameters<DpopClient['ask']>
    ): Promise<void> => {
      const from = client.wire.length;
      const status = await client.ask(...request);
      t.strictSame(since(client, from), what, `${request[1]} ${request[2]}`);
      t.equal(`${status}`, what.at(-1)?.slice(0, 3));
    };

    const from = client.wire.length;
    const tokens = { jwt: await client.token(JWT_RESOURCE), opaque: await client.token(OPAQUE_RESOURCE) };
    const wireOfTokens = client.wire.slice(from).filter(({ method }) => method === 'POST');
    t.strictSame(
      wireOfTokens.map(({ status }) => status),
      [400, 200, 200],
      'the server asks for a nonce, too',
    );
    t.match(tokens.jwt, /^eyJ/);
    t.notMatch(tokens.opaque, '.');

    for (const [kind, token] of Object.entries(tokens)) {
      await t.test(`D10 D15 ${kind}: the first request learns the nonce, the others have it`, async (t) => {
        const first = kind === 'jwt' ? ['401 and a nonce', '200'] : ['200'];
        await asks(t, first, token, 'GET', at(`/${kind}/1?a=1&b=%2F`));
        t.match(upstream.seen.at(-1), {
          url: `/${kind}/1?a=1&b=%2F`,
          headers: { 'x-client-id': DPOP_CLIENT.id },
        });
        await asks(t, ['200'], token, 'POST', at(`/${kind}`), '{"cookies":3}');
        t.match(upstream.seen.at(-1), {
          method: 'POST',
          body: '{"cookies":3}',
          headers: { dpop: undefined },
        });
        await asks(t, ['200'], token, 'GET', at(`/${kind}/caf%C3%A9/a%20b`));
      });

      await t.test(`D12 D13 D14 ${kind}: the token is of no use without the key`, async (t) => {
        const { proof } = client.wire.at(-1) ?? {};
        const path = `/${kind}/caf%C3%A9/a%20b`;
        const stolen = async (scheme: string, ...proofs: string[]): Promise<unknown> => {
          const headers = [
            'Authorization',
            `${scheme} ${token}`,
            ...proofs.flatMap((each) => ['DPoP', each]),
          ];
          return (await send(gateway.url, path, { headers })).problem.code;
        };
        t.equal(await stolen('DPoP', proof ?? ''), 'invalid_dpop_proof', 'a proof that was seen on the way');
        t.equal(await stolen('DPoP'), 'invalid_dpop_proof', 'no proof');
        t.equal(await stolen('Bearer'), 'invalid_token', 'as a bearer token');
        t.equal(await stolen('Bearer', proof ?? ''), 'invalid_token', 'as one, with a proof');
        const thief = await create(issuer);
        t.equal(await thief.ask(token, 'GET', at(path)), 401, 'the same software with another key');
        t.equal(thief.wire.at(-1)?.status, 401);
      });
    }

    await t.test('D15 a nonce that goes out of use is replaced in time, without a refusal', async (t) => {
      await advance(gateway, clock, 5 * 60_000);
      await asks(t, ['200 and a nonce'], tokens.jwt, 'GET', at('/jwt'));
      await asks(t, ['200'], tokens.jwt, 'GET', at('/jwt'));
      await asks(t, ['200'], tokens.opaque, 'GET', at('/opaque'));
      await advance(gateway, clock, 10 * 60_000);
      await asks(t, ['401 and a nonce', '200'], tokens.jwt, 'GET', at('/jwt'));
    });

    await t.test('V1 a bound token is revoked by its text, and by its session', async (t) => {
      const folder = temporaryFolder(t);
      const fileOf = (file: string, text: string): string => {
        writeFileSync(join(folder, file), text, { mode: 0o600 });
        return join(folder, file);
      };
      const admin = ['--admin', gateway.adminUrl, '--admin-token-file', fileOf('admin-token', ADMIN_TOKEN)];
      const revoke = (...args: string[]): Promise<{ code: number }> =>
        sallyport(['revoke', ...args, ...admin]);
      const other = await client.token(JWT_RESOURCE);
      t.match(await revoke('--token-file', fileOf('opaque', tokens.opaque)), { code: 0 });
      await asks(t, ['401'], tokens.opaque, 'GET', at('/opaque'));
      t.match(await revoke('--token-file', fileOf('jwt', tokens.jwt)), { code: 0 });
      await asks(t, ['401'], tokens.jwt, 'GET', at('/jwt'));
      await asks(t, ['200'], other, 'GET', at('/jwt'));
      t.match(await revoke('--issuer', 'jwt', '--session', SESSION), { code: 0 });
      await asks(t, ['401'], other, 'GET', at('/jwt'));
    });
  });
}
