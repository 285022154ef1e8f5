/** What a reload leaves behind: nothing of the configurations before the last one. */
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { parseConfiguration } from '../../src/config/load.ts';
import { ADMIN_TOKEN, loginIssuer, startGateway } from '../support/gateway.ts';
import { createKey } from '../support/tokens.ts';
import { startServer } from '../support/upstream.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

t.test('the caches of tokens of earlier configurations are let go', async (t) => {
  const upstream = await startServer(t, (_request, response) => void response.end('ok'));
  const configuration = {
    issuers: { login: loginIssuer(createKey('EdDSA', 'k1')) },
    routes: [{ name: 'all', match: { path_prefix: '/' }, upstream: 'u' }],
    upstreams: { u: { targets: [upstream] } },
  };
  const { instance } = await startGateway(t, configuration);
  const complete = {
    realm: 'test',
    listeners: [{ host: '127.0.0.1', port: 0 }],
    ...configuration,
    admin: { port: 0, token: ADMIN_TOKEN },
  };
  const loaded = () => ({
    configuration: parseConfiguration(JSON.stringify(complete), 'test.json', '/tmp', {}),
    folder: '/tmp',
    file: 'test.json',
  });
  const before: WeakRef<object>[] = [];
  for (let reload = 0; reload < 6; reload++) {
    before.push(new WeakRef(instance.generation.caches));
    await instance.reload(loaded());
  }
  for (let round = 0; round < 5; round++) {
    await turn();
    collect();
  }
  const alive = before.filter((each) => each.deref() !== undefined).length;
  // The last one may still be on a stack of what has just run.
  t.ok(alive <= 1, `${alive} of ${before.length} are alive`);
});
