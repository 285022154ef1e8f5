/** JSONTestSuite as JWT payload, JWT header, key set, introspection response and admin body. Rule J11. */
import t from 'tap';
import { send } from '../support/client.ts';
import { startGateway } from '../support/gateway.ts';
import { AUDIENCE, claimsOf, createKey, encode, ISSUER, signText } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';
import { parseStrictJson } from '../../src/token/strict-json.ts';
import { readVectors, vectorsMissing } from '../support/vectors.ts';

interface Case {
  readonly file: string;
  readonly expect: 'accept' | 'reject' | 'implementation-defined';
  readonly bytes: Buffer;
}

/** The two cases that are too long to be written down. */
const LONG: Readonly<Record<string, string>> = {
  'test_parsing/n_structure_100000_opening_arrays.json': '['.repeat(100_000),
  'test_parsing/n_structure_open_array_object.json': `${'[{"":'.repeat(50_000)}\n`,
};

function readCases(): Case[] {
  const { cases } = readVectors<{ cases: (Omit<Case, 'bytes'> & { base64?: string })[] }>(
    'jsontestsuite/cases.json',
  );
  return cases.map(({ file, expect, base64 }) => ({
    file,
    expect,
    bytes: base64 === undefined ? Buffer.from(LONG[file] ?? '') : Buffer.from(base64, 'base64'),
  }));
}

t.test('J11 never a crash, never accepted when it must be rejected', { skip: vectorsMissing }, async (t) => {
  const upstream = await startUpstream(t);
  const key = createKey('EdDSA');
  let answer: Buffer = Buffer.alloc(0);
  const url = await startServer(t, (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(answer),
  );
  const gateway = await startGateway(t, {
    issuers: {
      login: { issuer: ISSUER, jwks: { keys: [key.jwk] }, audiences: [AUDIENCE] },
      partner: {
        introspection: { url, client_id: 'g', client_secret: 's', cache: '0s', negative_cache: '0s' },
      },
    },
    routes: [
      { name: 'jwt', match: { path_prefix: '/jwt' }, upstream: 'u' },
      { name: 'opaque', match: { path_prefix: '/opaque' }, upstream: 'u', auth: { issuers: ['partner'] } },
    ],
    upstreams: { u: { targets: [upstream.url] } },
  });
  const status = async (path: string, token: string): Promise<number> =>
    (await send(gateway.url, path, { token })).status;
  const sign = (content: string): string => `${content}.${signText(content, key)}`;
  const header = encode({ alg: 'EdDSA', typ: 'at+jwt', kid: key.kid });
  /** Good claims with the case as one more member: it reaches the parser, and nothing else is wrong. */
  const wrapped = (bytes: Buffer, members: object): Buffer =>
    Buffer.concat([Buffer.from(`${JSON.stringify(members).slice(0, -1)},"case":`), bytes, Buffer.from('}')]);

  let rejected = 0;
  const wrong: string[] = [];
  /** One line of output for thousands of statuses. */
  const among = (status: number, expected: readonly number[], what: string): void => {
    if (!expected.includes(status)) wrong.push(`${what}: ${status}`);
  };
  for (const { file, expect, bytes } of readCases()) {
    // A token this long is refused for its length.
    if (bytes.length > 4_000) {
      answer = bytes;
      among(await status('/opaque', `long-${bytes.length}`), [503], `${file} as introspection response`);
      continue;
    }
    const bare = sign(`${header}.${bytes.toString('base64url')}`);
    among(await status('/jwt', bare), [401], `${file} as payload`);
    among(
      await status('/jwt', sign(`${bytes.toString('base64url')}.${encode(claimsOf())}`)),
      [401],
      `${file} as header`,
    );
    const payload = wrapped(bytes, claimsOf());
    const asMember = await status('/jwt', sign(`${header}.${payload.toString('base64url')}`));
    answer = wrapped(bytes, { active: true, sub: 'x' });
    const asResponse = await status('/opaque', `opaque-${rejected}-${file.length}`);
    // Some cases are only broken by themselves: "1]" behind our members ends differently, but never well.
    if (expect === 'reject' && !parses(payload)) {
      rejected++;
      among(asMember, [401], `${file} as claim`);
      among(asResponse, [503], `${file} as introspection response`);
    } else {
      among(asMember, [200, 401], `${file} as claim`);
      among(asResponse, [200, 401, 503], `${file} as introspection response`);
    }
    const body = await gateway.admin('POST', '/v1/revocations', bytes.toString('latin1'));
    among(body.status, [400], `${file} as admin body`);
    await body.arrayBuffer();
  }
  t.strictSame(wrong, []);
  t.ok(rejected > 150, `${rejected} cases were rejected`);
});

function parses(bytes: Buffer): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    return true;
  } catch {
    return false;
  }
}

t.test('J11 as a document of its own', { skip: vectorsMissing }, async (t) => {
  for (const { file, expect, bytes } of readCases()) {
    let parsed = true;
    try {
      parseStrictJson(bytes);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      parsed = false;
    }
    if (expect === 'reject') t.notOk(parsed, file);
    // Duplicate members are JSON to RFC 8259, but have two readings.
    else if (expect === 'accept' && !/duplicated?_key/.test(file)) t.ok(parsed, file);
  }
});
