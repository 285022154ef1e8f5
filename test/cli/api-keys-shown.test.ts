/** What `explain`, `decode` and `check` say of API keys, without ever showing one. Rules X1, A5. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { keySha256, makeKey } from '../../src/api-keys/key-text.ts';
import { keyFile, newKey } from '../support/api-keys.ts';
import { sallyport, type Result } from '../support/command.ts';

const day = 86_400;
const nowSeconds = Math.floor(Date.now() / 1000);
const gone = newKey('gone', { subject: 'team', expires: nowSeconds - 10 });
const soon = newKey('soon', { subject: 'team', scopes: ['a'], expires: nowSeconds + 2 * day });
const later = newKey('later', { client: 'backup', expires: nowSeconds + 30 * day });
const { folder, write } = keyFile(t, [gone.entry, soon.entry, later.entry]);
const entries = [gone.entry, soon.entry, later.entry];
const config = join(folder, 'sallyport.json');
writeFileSync(
  config,
  JSON.stringify({
    issuers: { partners: { api_keys: { file: 'keys.json', header: 'X-API-Key' } } },
    routes: [
      { name: 'keys', match: { path_prefix: '/keys' }, upstream: 'u', auth: { issuers: ['partners'] } },
      { name: 'open', match: { path_prefix: '/open' }, upstream: 'u', auth: { mode: 'none' } },
    ],
    upstreams: { u: { targets: ['http://127.0.0.1:9'] } },
  }),
);
const fileOf = (key: string): string => {
  const file = join(folder, 'token');
  writeFileSync(file, key);
  return file;
};
const run = async (...args: string[]): Promise<Result> => {
  const result = await sallyport(args);
  t.notMatch(result.out + result.err, /sp_live_\w/, 'no key is printed');
  return result;
};
const explain = (key: string): Promise<Result> =>
  run('explain', 'GET', 'http://a/keys', '-c', config, '--token-file', fileOf(key));

t.test('explain tells whose key it is, and what passes', async (t) => {
  const { code, out } = await explain(soon.key);
  t.equal(code, 0);
  t.match(out, /extract_token.*an API key/);
  t.match(out, /issuer partners, key "soon", sub "team"/);
  t.match(out, /x-token-issuer: partners/i);
});

t.test('explain tells why a key is refused', async (t) => {
  t.match((await explain(gone.key)).out, /the key has expired/);
  t.match(
    (await explain(makeKey())).out,
    /no issuer of API keys that the route accepts has a key with this digest/,
  );
  t.match((await explain(`${soon.key.slice(0, -6)}000000`)).out, /its form or checksum is wrong/);
});

t.test('explain takes another time than now, though a key of the file was not there yet', async (t) => {
  const { key, entry } = newKey('new', { subject: 'team', created: nowSeconds - day });
  write([...entries, entry]);
  t.teardown(() => write(entries));
  const at = (now: number): Promise<Result> =>
    run('explain', 'GET', 'http://a/keys', '-c', config, '--token-file', fileOf(key), '--now', String(now));
  t.match([await at(nowSeconds - 2 * day), await at(nowSeconds + 400 * day)], [{ code: 0 }, { code: 0 }]);
});

t.test('a key does not stand on the command line of explain', async (t) => {
  const { code, err } = await run(
    'explain',
    'GET',
    'http://a/keys',
    '-c',
    config,
    '-H',
    `X-API-Key: ${soon.key}`,
  );
  t.equal(code, 2);
  t.match(err, /does not belong on the command line/);
});

t.test('decode says that it is a key, and its digest, by which its entry is found', async (t) => {
  const { code, out } = await run('decode', '--token-file', fileOf(soon.key));
  t.equal(code, 0);
  t.match(out, new RegExp(`an API key; .*\nsha256: ${keySha256(soon.key)}\n`));
  const json = await run('decode', '--json', '--token-file', fileOf(soon.key));
  t.strictSame(JSON.parse(json.out), { verified: false, api_key: true, sha256: keySha256(soon.key) });
  const damaged = await run('decode', '--token-file', fileOf(soon.key.slice(0, -1)));
  t.equal(damaged.code, 1);
  t.match(damaged.err, /begins like an API key/);
});

t.test('check names keys that expire soon, and those that have', async (t) => {
  const { code, err } = await run('check', '-c', config);
  t.equal(code, 0);
  t.match(err, 'issuers.partners: API keys that expire within 7 days: soon; make new ones');
  t.match(err, 'issuers.partners: API keys that have expired: gone; remove them');
});

t.test('check reads the file of keys, and reports problems by line', async (t) => {
  t.teardown(() => write(entries));
  write('[\n {"id": "a", "sha256": "x", "subject": "s"}\n]');
  const { code, err } = await run('check', '-c', config);
  t.equal(code, 1);
  t.match(err, /keys\.json:2:24: sha256: must be the SHA-256 of the whole key/);
});
