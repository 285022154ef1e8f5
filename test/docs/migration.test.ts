/** docs/migration/kong-jwt.md: the key of a consumer becomes a key set by the command of the page. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, delimiter, join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { send } from '../support/client.ts';
import { blocksOf } from '../support/document.ts';
import { startGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const blocks = blocksOf('migration/kong-jwt.md');

t.test('tokens of a consumer of Kong pass with the key set that the command of the page makes', async (t) => {
  const folder = temporaryFolder(t);
  const [key, other] = [createKey('RS256'), createKey('RS256')];
  writeFileSync(join(folder, 'login.pem'), key.publicKey.export({ type: 'spki', format: 'pem' }));
  const command = blocks.find(({ language }) => language === 'sh')?.text ?? '';
  const path = [dirname(process.execPath), process.env['PATH']].join(delimiter);
  execFileSync('sh', ['-c', command], { cwd: folder, env: { ...process.env, PATH: path } });
  const [, bySecretAndKey = ''] = blocks
    .filter(({ file }) => file === 'sallyport.yaml')
    .map(({ text }) => text);
  const { issuers } = parse(bySecretAndKey) as { issuers: { login: object } };
  const upstream = await startUpstream(t);
  const gateway = await startGateway(
    t,
    {
      issuers: { login: issuers.login },
      routes: [{ name: 'orders', match: {}, upstream: 'orders', auth: { scopes: ['orders:read'] } }],
      upstreams: { orders: { targets: [upstream.url] } },
    },
    { folder },
  );
  // Tokens that consumers sign themselves name no key.
  const statusOf = async (by: typeof key): Promise<number> =>
    (await send(gateway.url, '/', { token: mint(by, claimsOf(), { typ: 'JWT', kid: undefined }) })).status;
  t.equal(await statusOf(key), 200);
  t.equal(await statusOf(other), 401);
});
