/**
 * The published token shapes of every provider, with the configurations of docs/providers/: what must pass passes, with
 * the same identity headers whichever issuer the token is of, and the other tokens of the same server are refused.
 */
import t, { type Test } from 'tap';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { parse } from 'yaml';
import { expandedConfiguration } from '../../src/config/expanded-text.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { namedFiles } from '../../src/config/named-files.ts';
import { PROVIDERS } from '../../src/config/provider-presets.ts';
import { rawOf } from '../../src/config/raw-document.ts';
import { configurationWarnings } from '../../src/config/warnings.ts';
import { send } from '../support/client.ts';
import { startGateway, until, type TestGateway } from '../support/gateway.ts';
import { temporaryFolder } from '../support/process.ts';
import { ISSUED_AT, SHAPES, type Claims, type Refused, type Shape } from '../support/provider-shapes.ts';
import { createKey, mint, mintHmac, nowSeconds } from '../support/tokens.ts';
import { startUpstream, type HttpUpstream } from '../support/upstream.ts';

const FOLDER = new URL('../../docs/', import.meta.url).pathname;
const SECRET = 'a-shared-secret-of-the-tests-that-is-long-enough';

const pages = readdirSync(join(FOLDER, 'providers'))
  .filter((file) => file !== 'README.md')
  .map((file) => `providers/${file}`);
const textOfPage = (page: string): string => readFileSync(join(FOLDER, page), 'utf8');
const blocksOf = (page: string, language: string): string[] =>
  [...textOfPage(page).matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map(
    ([, text = '']) => text,
  );

const keys = { RS256: createKey('RS256'), ES256: createKey('ES256') };
const nameOf = ({ provider, what }: Shape): string => `${provider}: ${what}`;

/** The dates of a shape, moved to now. */
function dated(claims: Claims): Record<string, unknown> {
  const by = nowSeconds() - ISSUED_AT;
  const moved = Object.entries(claims)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, isDate(value) ? value + by : value]);
  return Object.fromEntries(moved) as Record<string, unknown>;
}
const isDate = (value: unknown): value is number => typeof value === 'number' && value > 1_500_000_000;

function tokenOf({ header }: Shape, claims: Claims, changes: Claims = {}): string {
  const full = { ...header, ...changes };
  const { alg } = full;
  return alg === 'HS256'
    ? mintHmac(SECRET, dated(claims), full)
    : mint(keys[alg === 'ES256' ? 'ES256' : 'RS256'], dated(claims), full);
}

function refusedToken(shape: Shape, { header, changes, claims, opaque }: Refused): string {
  return opaque ?? tokenOf(shape, claims ?? { ...shape.claims, ...changes }, header);
}

const KEY_SETS = ['discovery', 'jwks_url', 'jwks_file'];
const SHARED = 'hmac_secret_file';

/** The configuration of a page, with the keys and the upstream of the test. */
async function startPage(t: Test, page: string, at: number, upstream: HttpUpstream): Promise<TestGateway> {
  const document = parse(blocksOf(page, 'yaml')[at] ?? '') as Record<string, unknown>;
  const issuers = Object.entries(rawOf(document['issuers'])).map(([name, issuer]) => {
    const hasKeys = KEY_SETS.some((key) => key in rawOf(issuer));
    const rest = Object.entries(rawOf(issuer)).filter(([key]) => ![...KEY_SETS, SHARED].includes(key));
    const sources = {
      ...(hasKeys ? { jwks: { keys: Object.values(keys).map(({ jwk }) => jwk) } } : {}),
      ...(SHARED in rawOf(issuer) ? { hmac_secret: SECRET } : {}),
    };
    return [name, { ...Object.fromEntries(rest), ...sources }] as const;
  });
  return startGateway(t, {
    ...document,
    issuers: Object.fromEntries(issuers),
    upstreams: { orders: { targets: [upstream.url] } },
  });
}

/** Why each is refused: because of what it is, never because of its key or its dates. */
const REASONS: Readonly<Record<string, readonly string[]>> = {
  'another client': ['wrong_audience', 'claim', 'unknown_issuer'],
  'another tenant': ['unknown_issuer', 'claim'],
  'ID token': ['wrong_type', 'claim', 'wrong_audience'],
  'refresh token': ['wrong_type', 'malformed', 'unknown_issuer'],
};

/** Does the page say of this reason that an ID token was sent, if it says of any? */
function explained(page: string, reason: string): boolean {
  const rows = [...textOfPage(page).matchAll(/^\| (401 [^|]*)\|[^|]* ID token/gm)].map(
    ([, seen = '']) => seen,
  );
  return rows.length === 0 || rows.some((seen) => seen.includes(`\`${reason}\``));
}

/** The reason of the last of so many requests, once its line is written. */
async function reasonOf({ log }: TestGateway, requests: number): Promise<string> {
  const reasons = (): unknown[] => log.flatMap(({ auth }) => rawOf(auth)['reason'] ?? []);
  await until(() => reasons().length === requests);
  return String(reasons().at(-1));
}

const IDENTITY = ['x-user-id', 'x-client-id', 'x-scopes', 'x-token-issuer'];
type Headers = Readonly<Record<string, string | string[] | undefined>>;
const identityOf = (headers: Headers): Record<string, unknown> =>
  Object.fromEntries(IDENTITY.filter((name) => name in headers).map((name) => [name, headers[name]]));

/** What the index says of a provider: which claim is a session, and what a refresh brings after its user was revoked. */
function promisedEnd(provider: string): { readonly session: string; readonly refreshed: string } {
  const row = new RegExp(
    `^\\| \`${provider}\` \\| (nothing|\`([a-z_]+)\`)[^|]* \\| (passes|is refused)`,
    'm',
  );
  const [, , session = '', refreshed = ''] =
    row.exec(textOfPage('providers/README.md').split('## What a revocation ends')[1] ?? '') ?? [];
  return { session, refreshed };
}

/** V4 V14: with tokens of this shape the index holds. */
async function revocationEnds(
  t: Test,
  gateway: TestGateway,
  upstream: HttpUpstream,
  shape: Shape,
): Promise<void> {
  const { session, refreshed } = promisedEnd(shape.provider);
  const issuer = Object.keys(gateway.loaded.configuration.issuers)[0];
  const revoke = (target: object): Promise<Response> =>
    gateway.admin('POST', '/v1/revocations', { issuer, ...target });
  const sid = session === '' ? {} : { [session]: shape.claims[session] ?? 'a session' };
  const issued = (by: number): string => {
    const dates = { iat: ISSUED_AT + by, exp: Number(shape.claims['exp']) + by };
    return tokenOf(shape, { ...shape.claims, ...sid, ...dates, jti: `issued ${by}` });
  };
  const statusOf = async (token: string): Promise<number> => {
    const before = upstream.seen.length;
    const { status } = await send(gateway.url, '/orders', { token });
    t.equal(
      upstream.seen.length - before,
      status === 200 ? 1 : 0,
      'the upstream sees what passes, and no more',
    );
    return status;
  };

  const ended = await revoke({ session: Object.values(sid)[0] ?? 'a session' });
  t.equal(ended.status, session === '' ? 400 : 201, 'its tokens name a session, or none');
  if (session !== '') {
    t.equal(await statusOf(issued(2)), 401, 'a refresh within the session');
    const { id } = (await ended.json()) as { id: string };
    t.equal((await gateway.admin('DELETE', `/v1/revocations/${id}`)).status, 204);
  }
  const before = issued(-5);
  t.equal(await statusOf(before), 200);
  t.equal((await revoke({ subject: shape.upstream['x-user-id'] })).status, 201);
  t.equal(await statusOf(before), 401, 'what the user has');
  t.equal(await statusOf(issued(2)), refreshed === 'passes' ? 200 : 401, `a refresh ${refreshed}`);
}

for (const shape of SHAPES) {
  t.test(`J18 J19 ${nameOf(shape)} passes, and the server's other tokens do not`, async (t) => {
    const upstream = await startUpstream(t);
    const gateway = await startPage(t, shape.page, shape.configuration, upstream);
    const passing = await send(gateway.url, '/orders', { token: tokenOf(shape, shape.claims) });
    t.equal(passing.status, 200, 'the published shape');
    t.strictSame(
      identityOf(upstream.seen[0]?.headers ?? {}),
      { ...shape.upstream, 'x-token-issuer': shape.claims['iss'] },
      'what the upstream gets',
    );
    let requests = 1;
    for (const [what, refused] of Object.entries(shape.refused)) {
      if (refused === undefined) continue;
      const { status, problem } = await send(gateway.url, '/orders', { token: refusedToken(shape, refused) });
      t.match({ status, code: problem.code }, { status: 401, code: 'invalid_token' }, what);
      requests++;
      const reason = await reasonOf(gateway, requests);
      t.ok(REASONS[what]?.includes(reason), `${what}: ${reason}`);
      if (what === 'ID token') t.ok(explained(shape.page, reason), `the page explains ${reason}`);
    }
    // Whatever audience an ID token may get, and without the hash by which every issuer knows it.
    const idToken = shape.refused['ID token'];
    if (idToken !== undefined) {
      const { aud } = shape.claims;
      const ours = idToken.claims
        ? { ...idToken, claims: { ...idToken.claims, aud } }
        : { ...idToken, changes: { ...idToken.changes, aud, at_hash: undefined } };
      const { status } = await send(gateway.url, '/orders', { token: refusedToken(shape, ours) });
      t.equal(status, 401, 'an ID token with our audience');
      t.match(
        await reasonOf(gateway, requests + 1),
        /^(?:claim|wrong_type)$/,
        'an ID token with our audience',
      );
    }
    t.equal(upstream.seen.length, 1, 'the upstream saw nothing of them');
    await revocationEnds(t, gateway, upstream, shape);
  });
}

t.test(
  'J18 each token that must not pass differs from the one that does in what it is said to',
  async (t) => {
    for (const shape of SHAPES) {
      const expected = Object.entries(shape.refused).filter(([, refused]) => refused === undefined);
      t.ok(expected.length < 3, nameOf(shape));
      for (const [what, refused] of Object.entries(shape.refused)) {
        if (refused === undefined || refused.opaque !== undefined) continue;
        t.not(
          JSON.stringify(refused.claims ?? { ...shape.claims, ...refused.changes }),
          JSON.stringify(shape.claims),
          `${nameOf(shape)}: ${what}`,
        );
      }
    }
  },
);

t.test('every provider has a shape, and every page one for each of its providers', async (t) => {
  t.strictSame([...new Set(SHAPES.map(({ provider }) => provider))].toSorted(), [...PROVIDERS].toSorted());
  t.strictSame([...new Set(SHAPES.map(({ page }) => page))].toSorted(), pages.toSorted());
});

t.test('user, client and scopes have the same form, whichever issuer the token is of', async (t) => {
  for (const shape of SHAPES) {
    const { 'x-user-id': user, 'x-client-id': client, 'x-scopes': scopes } = shape.upstream;
    t.match(user, /^[!-~]+$/, nameOf(shape));
    if (client !== undefined) t.match(client, /^[!-~]+$/, nameOf(shape));
    if (scopes !== undefined) t.match(scopes, /^[!-+\--~]+(?: [!-+\--~]+)*$/, nameOf(shape));
  }
});

t.test('the example of the index is what check --expand prints', async (t) => {
  const [source = '', printed] = blocksOf('providers/README.md', 'yaml');
  t.equal(expandedConfiguration(source, 'example.yaml', {}).text, printed);
  const linked = pages.filter(
    (page) => !textOfPage('providers/README.md').includes(page.replace('providers/', '](')),
  );
  t.strictSame(linked, [], 'and it links every page');
});

t.test('the index says of every provider what a revocation ends', async (t) => {
  for (const provider of PROVIDERS)
    t.match(promisedEnd(provider).refreshed, /^(?:passes|is refused)$/, provider);
});

/** As docs/how-to/everything-of-this-issuer.md closes an issuer that has claims already. */
function closed(text: string): string {
  const document = rawOf(parse(text));
  const issuers = Object.entries(rawOf(document['issuers'])).map(([name, issuer]) => {
    const { claims, provider } = rawOf(issuer);
    const rule = { iss: ['closed'], ...(provider === 'workos' && { client_id: ['closed'] }) };
    return [name, { ...rawOf(issuer), claims: { ...rawOf(claims), ...rule } }] as const;
  });
  return JSON.stringify({ ...document, issuers: Object.fromEntries(issuers) });
}

for (const page of pages) {
  t.test(`docs/${page}: every configuration loads without a warning about its issuers`, async (t) => {
    const texts = blocksOf(page, 'yaml');
    t.ok(texts.length > 0);
    for (const written of texts) {
      const folder = temporaryFolder(t);
      const text = written.replaceAll('/var/run/secrets/', `${folder}/`);
      for (const file of namedFiles(parse(text), folder)) {
        mkdirSync(dirname(file), { recursive: true });
        const content = file.endsWith('.crt') ? (rootCertificates[0] ?? '') : SECRET;
        writeFileSync(file, content, { mode: 0o600 });
      }
      const configuration = parseConfiguration(text, page, folder, {});
      t.ok(parseConfiguration(closed(text), page, folder, {}), 'and can be closed in an emergency');
      const warnings = configurationWarnings({ configuration, folder, file: join(folder, page) });
      t.strictSame(
        warnings.filter((line) => line.startsWith('issuers')),
        [],
        text,
      );
    }
  });

  t.test(
    `docs/${page}: the tokens are the published shapes, the headers what the upstream gets`,
    async (t) => {
      const own = SHAPES.filter((shape) => shape.page === page);
      const tokens = blocksOf(page, 'json').map((text) => JSON.parse(text) as Claims);
      const headers = blocksOf(page, 'http');
      t.ok(tokens.length > 0);
      t.equal(tokens.length, headers.length);
      tokens.forEach((token, at) => {
        const shape = own.find(({ claims }) => JSON.stringify(claims) === JSON.stringify(token));
        t.ok(shape, `token ${at + 1} is a shape`);
        const expected = { ...shape?.upstream, 'x-token-issuer': token['iss'] };
        const written = (headers[at] ?? '')
          .trim()
          .split('\n')
          .map((line) => line.split(': '));
        t.strictSame(
          Object.fromEntries(written.map(([name = '', value]) => [name.toLowerCase(), value])),
          expected,
        );
      });
      for (const { source } of own) t.ok(textOfPage(page).includes(source), source);
    },
  );
}
