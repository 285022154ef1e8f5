/** Whatever an edit of `identity.headers` does, what a client writes under such a name never arrives. Rules C1, C2, C24. */
import t, { type Test } from 'tap';
import { SeededRandom } from '../support/seeded-random.ts';
import { send } from '../support/client.ts';
import { loginIssuer, startGateway, type TestGateway } from '../support/gateway.ts';
import { claimsOf, createKey, mint } from '../support/tokens.ts';
import { startUpstream, type SeenRequest } from '../support/upstream.ts';

type Headers = Record<string, string | null>;

const key = createKey('EdDSA');
const token = mint(key, claimsOf({ azp: 'app', email: 'a@b', tenant: { id: 'acme' } }));
const VALUES: Record<string, string> = {
  ...{ sub: 'alice', client_id: 'web', scope: 'orders:read', iss: 'https://login.example.com' },
  ...{ azp: 'app', email: 'a@b', 'tenant.id': 'acme' },
};
const DEFAULTS: Record<string, string> = {
  'X-User-Id': 'sub',
  'X-Client-Id': 'client_id',
  'X-Scopes': 'scope',
  'X-Token-Issuer': 'iss',
};
const SPOOFED = 'spoofed';

const upstream = await startUpstream(t);
const last = (): SeenRequest => upstream.seen.at(-1) as SeenRequest;

/** As the servers read it that fold the most. */
const folded = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '-');

interface Edit {
  readonly global?: Headers;
  readonly route?: Headers;
}

interface Started {
  readonly gateway: TestGateway;
  readonly decisions: string;
}

/** Routes: `own` has a map of its own, `plain` has none, `open` asks for no token. */
async function start(t: Test, { global, route }: Edit): Promise<Started> {
  const gateway = await startGateway(t, {
    listeners: [
      { host: '127.0.0.1', port: 0 },
      {
        host: '127.0.0.1',
        port: 0,
        serve: 'decisions',
        dialect: 'forwarded',
        trusted_peers: ['127.0.0.1'],
      },
    ],
    limits: { header_count: 1_000, header_bytes: '64KiB' },
    issuers: { login: loginIssuer(key) },
    ...(global && { identity: { headers: global } }),
    routes: [
      {
        name: 'own',
        match: { path_prefix: '/own' },
        upstream: 'u',
        ...(route && { identity: { headers: route } }),
      },
      { name: 'plain', match: { path_prefix: '/plain' }, upstream: 'u', auth: { mode: 'optional' } },
      { name: 'open', match: { path_prefix: '/open' }, upstream: 'u', auth: { mode: 'none' } },
    ],
    upstreams: { u: { targets: [upstream.url] } },
  });
  return { gateway, decisions: `http://127.0.0.1:${gateway.instance.listeners[1]?.address.port}` };
}

/** By folded name: the text that the upstream is to get. */
function expected(...maps: readonly (Headers | undefined)[]): Map<string, string> {
  const claims = new Map<string, string | null>();
  for (const map of [DEFAULTS, ...maps])
    for (const [name, claim] of Object.entries(map ?? {})) claims.set(folded(name), claim);
  const texts = new Map<string, string>();
  for (const [name, claim] of claims) {
    const text = claim === null ? undefined : VALUES[claim];
    if (text !== undefined) texts.set(name, text);
  }
  return texts;
}

/** Every spelling of these names that some server reads as the name itself. */
function spellings(names: readonly string[]): string[] {
  return names.flatMap((name) => [
    ...[name, name.toLowerCase(), name.toUpperCase(), name.replaceAll('-', '_'), name.replaceAll('-', '.')],
    ...[name.replace('-', '_'), name.replaceAll('-', '~'), name.replaceAll('-', '!').toUpperCase()],
  ]);
}

/** What stands in the request under these names, by folded name; none may be there twice. */
function identityOf(t: Test, { rawHeaders }: SeenRequest, names: ReadonlySet<string>): Map<string, string> {
  const found = new Map<string, string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = folded(rawHeaders[index] ?? '');
    if (!names.has(name)) continue;
    if (found.has(name)) t.fail(`${name} came twice`);
    found.set(name, rawHeaders[index + 1] ?? '');
  }
  return found;
}

/** Sends every spoofed spelling over every route, with and without a token, and asks for decisions about the same. */
async function attack(t: Test, { gateway, decisions }: Started, { global, route }: Edit): Promise<void> {
  const mentioned = [...Object.keys(global ?? {}), ...Object.keys(route ?? {})];
  const names = [...new Set([...Object.keys(DEFAULTS), ...mentioned])];
  const reserved = new Set(names.map(folded));
  const spoofed = spellings(names).flatMap((name) => [name, SPOOFED]);
  const hidden = ['Connection', names.join(', ')];
  const cases: [path: string, token: string | undefined, texts: Map<string, string>][] = [
    ['/own', token, expected(global, route)],
    ['/plain', token, expected(global)],
    ['/plain', undefined, new Map()],
    ['/open', undefined, new Map()],
  ];
  for (const [path, credential, texts] of cases) {
    const sent = { ...(credential !== undefined && { token: credential }) };
    const response = await send(gateway.url, path, { ...sent, headers: [...spoofed, ...hidden] });
    t.equal(response.status, 200, path);
    t.strictSame(identityOf(t, last(), reserved), texts, path);
    t.notOk(last().rawHeaders.includes(SPOOFED), `${path}: nothing of the client's`);

    const decided = await send(decisions, '/', {
      ...sent,
      headers: [
        ...['X-Forwarded-Method', 'GET', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'a.example'],
        ...['X-Forwarded-Uri', path, ...spoofed],
      ],
    });
    t.equal(decided.status, 200);
    t.notOk(decided.rawHeaders.includes(SPOOFED));
    const told = new Map<string, string>();
    for (const name of names) {
      const value = decided.headers[name.toLowerCase()];
      t.type(value, 'string', `${name} overwrites what the client wrote there`);
      if (value !== '') told.set(folded(name), String(value));
    }
    t.strictSame(told, texts, `${path}: the other proxy is told the same`);
  }
}

const EDITS: Record<string, Edit> = {
  'no map at all': {},
  'an empty map': { global: {} },
  'one default replaced': { global: { 'X-Client-Id': 'azp' } },
  'one default replaced, in lower case': { global: { 'x-client-id': 'azp' } },
  'one default replaced, by another spelling': { global: { X_Client_Id: 'azp' } },
  'a header added': { global: { 'X-Tenant': 'tenant.id' } },
  'a default taken out': { global: { 'X-User-Id': null } },
  'a default taken out by another spelling': { global: { 'x.user_id': null } },
  'all defaults taken out': {
    global: { 'X-User-Id': null, 'X-Client-Id': null, 'X-Scopes': null, 'X-Token-Issuer': null },
  },
  'a default taken out by a route': { route: { 'x-user-id': null } },
  'a default taken out, and set again by a route': {
    global: { 'X-User-Id': null },
    route: { 'X-User-Id': 'email' },
  },
  'a header of the global map taken out by a route': {
    global: { 'X-Tenant': 'tenant.id' },
    route: { x_tenant: null },
  },
  'a header that is set nowhere': { global: { 'X-Roles': null } },
  'a header of one route': { route: { 'X-Tenant': 'tenant.id' } },
};

for (const [name, edit] of Object.entries(EDITS)) {
  t.test(`C24 no client copy of an identity header arrives after the edit: ${name}`, async (t) => {
    await attack(t, await start(t, edit), edit);
  });
}

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 10);
const NAMES = [...Object.keys(DEFAULTS), 'X-Tenant', 'X-Mail'];

/** Some names, each in one spelling, with a claim, a claim that no token has, or null. */
function randomMap(random: SeededRandom): Headers | undefined {
  if (random.below(5) === 0) return undefined;
  const map: Headers = {};
  for (const name of NAMES) {
    if (random.below(2) === 0) continue;
    const spelled = [...name]
      .map((char) => (char === '-' ? random.of(['-', '-', '_', '.']) : char))
      .map((char) => (random.below(4) === 0 ? char.toLowerCase() : char))
      .join('');
    map[spelled] = random.of([...Object.keys(VALUES), 'absent', null, null, null]);
  }
  return map;
}

t.test('C24 no client copy of an identity header arrives after any edit at random', async (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
  t.comment(`FUZZ_SEED=${seed}`);
  const random = new SeededRandom(seed);
  for (let run = 0; run < RUNS; run++) {
    const global = randomMap(random);
    const route = randomMap(random);
    const edit: Edit = { ...(global && { global }), ...(route && { route }) };
    await t.test(`seed ${seed}, run ${run}: ${JSON.stringify(edit)}`, async (t) => {
      await attack(t, await start(t, edit), edit);
    });
  }
});
