/** Status lists on the command line: what `check --online` fetches, and what `explain` knows with and without it. */
import t from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sallyport } from '../support/command.ts';
import { loginIssuer, withTestPorts } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { startStatusListServer } from '../support/status-list-server.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream } from '../support/upstream.ts';

const key = createKey();
const server = await startStatusListServer(t);
const upstream = await startUpstream(t);
const folder = temporaryFolder(t);
const uri = server.publish('/all', key, [0, 1]);

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

const fileFor = (...uris: string[]): string =>
  write(
    'sallyport.json',
    JSON.stringify(
      withTestPorts({
        issuers: { login: { ...loginIssuer(key), status_list: { uris } } },
        routes: [{ name: 'r', match: {}, upstream: 'u' }],
        upstreams: { u: { targets: [upstream.url] } },
      }),
    ),
  );
const tokenFor = (index: unknown, named = uri): string =>
  write('token', mint(key, claimsOf({ status: { status_list: { uri: named, idx: index } } })));

t.test('check --online fetches the lists that have an exact URI', async (t) => {
  const file = fileFor(uri, `${server.url}/lists/`);
  t.match(await sallyport(['check', '-c', file]), { code: 0 });
  t.equal(server.fetches.length, 0);
  const good = await sallyport(['check', '-c', file, '--online']);
  t.match(good, { code: 0 });
  t.match(good.out, `ok    status list ${uri}: 4 statuses`);
  t.strictSame(server.fetches, ['/all']);
  server.publish('/forged', createKey(), [0]);
  const bad = await sallyport([
    'check',
    '-c',
    fileFor(`${server.url}/none`, `${server.url}/forged`),
    '--online',
  ]);
  t.equal(bad.code, 1);
  t.match(bad.out, /FAIL {2}status list .*\/none: .*responded 404/);
  t.match(bad.out, /FAIL {2}status list .*\/forged: .*the list is refused: unknown key/);
});

t.test('explain tells what the token names, and with --online what the list says', async (t) => {
  const { length } = server.fetches;
  const explain = (token: string, ...more: string[]) =>
    sallyport(['explain', 'GET', 'http://a.example/', '-c', fileFor(uri), '--token-file', token, ...more]);
  const offline = await explain(tokenFor(1));
  t.equal(offline.code, 0);
  t.match(offline.out, `its status is entry 1 of ${uri}, which was not fetched (--online does)`);
  t.equal(server.fetches.length, length);
  const elsewhere = await explain(tokenFor(1, 'https://evil.example/1'));
  t.equal(elsewhere.code, 3);
  t.match(elsewhere.out, /REFUSED +check_revocation +its status list is none of status_list\.uris/);
  const refused = await explain(tokenFor(1), '--online');
  t.equal(refused.code, 3);
  t.match(
    refused.out,
    `its status is INVALID (1); entry 1 of the status list ${uri}: INVALID (1); the list is `,
  );
  const passed = await explain(tokenFor(0), '--online');
  t.equal(passed.code, 0);
  t.match(passed.out, `entry 0 of the status list ${uri}: VALID (0)`);
});
