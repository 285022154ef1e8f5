/** `check --replay`: what a user of a command and a CI job get. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { sallyport } from '../support/command.ts';

type Members = Readonly<Record<string, unknown>>;

const LINE = {
  ...{
    msg: 'request',
    route: 'orders',
    method: 'GET',
    scheme: 'https',
    host: 'a.example',
    path: '/orders/1',
  },
  ...{ status: 200, upstream: 'u' },
  auth: { decision: 'allow', reason: 'ok', issuer: 'login', client_id: 'web', jti_hash: 'x' },
};
const configuration = (auth: Members): string =>
  JSON.stringify({
    revocation: { store: 'sqlite:x.sqlite' },
    issuers: {
      login: { issuer: 'https://login.example', jwks_url: 'https://login.example/keys', audiences: ['api'] },
    },
    routes: [{ name: 'orders', match: { path_prefix: '/orders' }, upstream: 'u', auth }],
    upstreams: { u: { targets: ['http://127.0.0.1:9'] } },
    listeners: [{ host: '127.0.0.1', port: 8080 }],
  });

const folderWith = (lines: readonly (Members | string)[]) => {
  const folder = t.testdir({});
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o600);
    return join(folder, name);
  };
  const log = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)));
  return {
    log: write('access.log', `${log.join('\n')}\n`),
    same: write('same.yaml', configuration({})),
    narrower: write('narrower.yaml', configuration({ issuers: ['login'], scopes: ['write'] })),
    open: write('open.yaml', configuration({ mode: 'none' })),
    invalid: write('invalid.yaml', configuration({ mode: 'sometimes' })),
    empty: write('empty.log', '\n'),
  };
};

const REFUSED = {
  ...LINE,
  ...{
    status: 401,
    upstream: undefined,
    error: 'missing_token',
    auth: { decision: 'deny', reason: 'missing' },
  },
};

t.test('the exit code says whether something would change', async (t) => {
  const { log, same, narrower, open, invalid, empty } = folderWith([LINE, REFUSED]);
  const codeOf = async (...args: string[]): Promise<number> => (await sallyport(['check', ...args])).code;
  t.equal(await codeOf('--replay', log, same), 0);
  t.equal(await codeOf('--replay', log, open), 3, 'who had no token passes');
  t.equal(await codeOf('--replay', log, narrower), 0, 'not decidable is no change');
  t.equal(await codeOf('--strict', '--replay', log, narrower), 3, 'but fails with --strict');
  t.equal(await codeOf('--replay', log, '--before', same, '-c', same), 0);
  t.equal(await codeOf('--replay', log, invalid), 1);
  t.equal(await codeOf('--replay', log, '--before', invalid, same), 1);
  t.equal(await codeOf('--replay', empty, same), 1, 'a log without a request proves nothing');
  t.equal(await codeOf('--replay', `${log}.missing`, same), 1);
  t.equal(await codeOf('--before', same, same), 2);
  t.equal(await codeOf('--expand', '--replay', log, same), 2);
  t.equal(await codeOf('-c', same, same), 2);
});

t.test('the table says what would change, for whom, and names one line of each', async (t) => {
  const { log, open } = folderWith([
    LINE,
    REFUSED,
    { ...REFUSED, path: '/orders/2' },
    'nonsense',
    '{"msg":"audit"}',
    { msg: 'some refused requests were not logged', route: 'orders', reason: 'expired', left_out: 12 },
  ]);
  const { out } = await sallyport(['check', '--replay', log, open]);
  t.match(out, '3 requests read: 3 decided, 1 of them unchanged; 0 not decidable');
  t.match(out, /^2 +orders: 401 missing +orders: passes +- +line 2: GET \/orders\/1$/m);
  t.match(out, '12 requests have no line');
  t.match(out, /^line 4: /m);
});

t.test('--json has the same for programs', async (t) => {
  const { log, open, narrower } = folderWith([{ ...LINE, sample: 0.1 }, REFUSED]);
  const { out } = await sallyport(['check', '--json', '--replay', log, open]);
  t.match(JSON.parse(out), {
    ok: true,
    replay: {
      requests: { lines: 2, stand_for: 11 },
      ...{ decided: 2, unchanged: 1 },
      changed: [
        {
          before: { route: 'orders', verdict: 'refused', status: 401, reason: 'missing' },
          after: { route: 'orders', verdict: 'passes', upstreams: ['u'] },
          ...{ client_id: null, lines: 1, requests: 1, example: { line: 2 } },
        },
      ],
      not_decidable: {},
    },
  });
  const other = JSON.parse((await sallyport(['check', '--json', '--replay', log, narrower])).out);
  t.match(other, { replay: { changed: [], not_decidable: { scopes: { lines: 1, requests: 10 } } } });
});

t.test('a client that makes up names fills neither memory nor table', async (t) => {
  const lines = Array.from({ length: 1_200 }, (_, index) => ({
    ...LINE,
    auth: { ...LINE.auth, client_id: `client-${index}` },
  }));
  const { log, narrower, open } = folderWith([...lines.map((line) => ({ ...line, route: 'gone' })), REFUSED]);
  const { out } = await sallyport(['check', '--replay', log, open]);
  t.match(out, 'and 975 more groups, and others; see --json');
  t.ok(out.split('\n').length < 60);
  const { replay } = JSON.parse((await sallyport(['check', '--json', '--replay', log, open])).out) as {
    replay: { changed: unknown[]; ungrouped: number };
  };
  t.equal(replay.changed.length, 1_000);
  t.equal(replay.ungrouped, 201);
  t.ok(narrower);
});
