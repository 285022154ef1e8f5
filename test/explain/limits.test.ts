/** What `explain` says of limits: which count a request, by what, and, of a gateway that runs, what is left. Nothing is counted. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Explanation } from '../../src/explain/explanation.ts';
import { send } from '../support/client.ts';
import { sallyport } from '../support/command.ts';
import { ADMIN_TOKEN, loginIssuer } from '../support/gateway.ts';
import { key, startLimited, tokenOf, two } from '../support/limited.ts';
import { temporaryFolder } from '../support/process.ts';

const LIMITS = [
  { name: 'addresses', by: 'ip', rate: '5/1h' },
  two('subject', { burst: 1 }),
  { name: 'plans', by: { claim: 'plan' }, rate: '30/90s', report_only: true },
];

const detailOf = ({ stages }: Explanation, stage: string): string | undefined =>
  stages.find((each) => each.stage === stage)?.detail;

t.test('a gateway that runs tells what is left, and that one more would be refused', async (t) => {
  const gateway = await startLimited(t, LIMITS);
  const token = tokenOf();
  const explained = async (changes: object = {}): Promise<Explanation> => {
    const body = { method: 'GET', url: 'http://api.example.com/a', token, ...changes };
    return (await (await gateway.admin('POST', '/v1/explain', body)).json()) as Explanation;
  };
  for (let look = 0; look < 3; look++) {
    const passes = await explained();
    t.match(passes, { decision: 'allow', reason: 'ok', status: null });
    t.equal(detailOf(passes, 'limit_address'), 'addresses: 5/1h by ip, burst 5, 5 left');
    t.equal(
      detailOf(passes, 'limit_caller'),
      'two: 2/1h by subject, burst 1, 1 left; plans: 30/90s by claim plan, burst 30, report only (in the bucket of tokens that do not say), 30 left',
    );
  }
  t.equal((await send(gateway.url, '/a', { token })).status, 200);
  const refused = await explained();
  t.match(refused, { decision: 'deny', reason: null, status: 429, code: 'rate_limited', route: 'a' });
  t.match(detailOf(refused, 'limit_caller'), /^two: .* 0 left; .*; two refuses, for \d+ s$/);
  t.match(refused.limits, [
    { name: 'addresses', by: 'ip', counted_by: 'ip', left: 4, retry_after: 0 },
    { name: 'two', by: 'subject', rate: '2/1h', burst: 1, counted_by: 'subject', left: 0 },
    { name: 'plans', by: 'claim plan', counted_by: 'missing', report_only: true },
  ]);
  t.match(Object.fromEntries(refused.answer?.headers ?? []), { ratelimit: /^"two";r=0;t=\d+$/ });
  t.match(await explained({ peer: '192.0.2.1', token: tokenOf({ sub: 'bob' }) }), {
    decision: 'allow',
    limits: [{ left: 5 }, { left: 1 }, {}],
  });
  t.equal(
    await gateway.metric('sallyport_rate_limited_requests_total{route="a",limit="two",mode="enforced"}'),
    0,
  );
  const free = await explained({ url: 'http://api.example.com/free' });
  t.strictSame(free.limits, []);
  t.notOk(free.stages.some(({ stage }) => stage.startsWith('limit_')));
});

t.test('without a token the caller is counted by its address', async (t) => {
  const gateway = await startLimited(t, LIMITS, {}, { auth: { mode: 'optional' } });
  const body = { method: 'GET', url: 'http://api.example.com/a' };
  const explanation = (await (await gateway.admin('POST', '/v1/explain', body)).json()) as Explanation;
  t.match(
    detailOf(explanation, 'limit_caller'),
    /^two: 2\/1h by subject, burst 1 \(by the address: there is no token\)/,
  );
});

t.test('explain shows the limits; with --online it asks the running gateway what is left', async (t) => {
  const gateway = await startLimited(t, LIMITS);
  const folder = temporaryFolder(t);
  const [file, tokenFile, adminFile] = ['c.json', 'token', 'admin'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const document = {
    issuers: { login: loginIssuer(key) },
    routes: [{ name: 'a', match: { path_prefix: '/a' }, upstream: 'u', rate_limits: LIMITS }],
    upstreams: { u: { targets: ['http://127.0.0.1:1'] } },
  };
  writeFileSync(file, JSON.stringify(document), { mode: 0o600 });
  const token = tokenOf();
  writeFileSync(tokenFile, token);
  writeFileSync(adminFile, ADMIN_TOKEN);
  const args = ['explain', 'GET', 'http://api.example.com/a', '-c', file, '--token-file', tokenFile];
  const offline = await sallyport(args);
  t.equal(offline.code, 0);
  t.match(offline.out, /ok +limit_address +addresses: 5\/1h by ip, burst 5\n/);
  t.notMatch(offline.out, 'left');
  const online = [...args, '--online', '--admin-token-file', adminFile, '--admin', gateway.adminUrl];
  t.match((await sallyport(online)).out, /limit_caller +two: 2\/1h by subject, burst 1, 1 left;/);
  await send(gateway.url, '/a', { token });
  const refused = await sallyport(online);
  t.equal(refused.code, 3);
  t.match(refused.out, /REFUSED +limit_caller +two: .*0 left.*\n/);
  t.match(refused.out, 'The client gets 429 rate_limited:');
  await gateway.stop();
  const silent = await sallyport(online);
  t.equal(silent.code, 0);
  t.match(silent.out, /what is left is not known: the admin listener at .* cannot be reached/);
});
