/**
 * A product and Sallyport with the configurations of one page, the same tokens and the same service. What the page says in
 * its table of differences is what happens.
 */
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { parse } from 'yaml';
import { send } from '../../support/client.ts';
import { fileIn, without, withReplacements } from '../../support/document.ts';
import { json } from '../../support/fallible-authorization-server.ts';
import { startGateway } from '../../support/gateway.ts';
import { claimsOf, createKey, ISSUER, mint, nowSeconds, type SigningKey } from '../../support/tokens.ts';
import { startServer, startUpstream, type HttpUpstream } from '../../support/upstream.ts';

export interface Place {
  /** Of the issuer, in the place of ISSUER. */
  readonly issuer: string;
  readonly upstream: string;
  /** Signs the tokens of the issuer. */
  readonly key: SigningKey;
}

export interface Sides {
  readonly upstream: HttpUpstream;
  readonly place: Place;
  /** Base URLs: the product's and Sallyport's. */
  readonly product: string;
  readonly sallyport: string;
}

/** @param startProduct returns its base URL */
export async function startSides(
  t: Test,
  page: string,
  startProduct: (place: Place) => Promise<string>,
): Promise<Sides> {
  const upstream = await startUpstream(t);
  const key = createKey('RS256', 'login');
  const url = await startServer(t, (request, response) => {
    if (request.url === '/jwks') json(response, 200, { keys: [key.jwk] });
    else
      json(response, 200, {
        issuer: url,
        jwks_uri: `${url}/jwks`,
        authorization_endpoint: `${url}/authorize`,
        token_endpoint: `${url}/token`,
        id_token_signing_alg_values_supported: ['RS256'],
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
      });
  });
  const place: Place = { issuer: url, upstream: upstream.url, key };
  const product = await startProduct(place);
  const text = withReplacements(fileIn(page, 'sallyport.yaml').text, {
    [ISSUER]: url,
    'http://127.0.0.1:3000': upstream.url,
  });
  const gateway = await startGateway(t, without(parse(text), 'listeners', 'revocation'));
  return { upstream, place, product, sallyport: gateway.url };
}

/** What happened to one request. */
interface Outcome {
  readonly status: number;
  /** Headers at the service; undefined where it saw nothing. */
  readonly seen: IncomingHttpHeaders | undefined;
}

export interface Case {
  readonly path: string;
  /** Claims over those of a good token; undefined: no token. */
  readonly claims?: Record<string, unknown>;
  readonly headers?: readonly string[];
  /** Sends the token in this parameter of the query, and not in Authorization. */
  readonly inQuery?: string;
  /** A header that a client forges, or that the product may pass on: does the service get this text of it? */
  readonly header?: readonly [name: string, text: string];
}

/** What an ID token has and an access token of the tests has not. */
export const ID_TOKEN = {
  scope: undefined,
  client_id: undefined,
  nonce: 'n',
  at_hash: 'a',
  email: 'alice@example.com',
};

/** By the first cell of a table's row. */
export const CASES: Record<string, Case> = {
  'no token': { path: '/orders' },
  'no token on an API': { path: '/orders' },
  'wrong audience': { path: '/orders', claims: { aud: 'https://other.example.com' } },
  'a token with another audience': { path: '/orders', claims: { aud: 'https://other.example.com' } },
  'a scope is missing': { path: '/orders', claims: { scope: 'other' } },
  'a good bearer token without the scope': { path: '/orders', claims: { scope: 'other' } },
  'a token without `exp`': { path: '/orders', claims: { exp: undefined } },
  'a token that lives longer than a day': { path: '/orders', claims: { exp: nowSeconds() + 2 * 86_400 } },
  'a token in the query (`?access_token=`)': { path: '/orders', claims: {}, inQuery: 'access_token' },
  'an ID token for the same audience': { path: '/orders', claims: { nonce: 'n', at_hash: 'a' } },
  'an ID token for that audience': { path: '/orders', claims: ID_TOKEN },
  'an ID token for that audience, with the scope': { path: '/orders', claims: { nonce: 'n', at_hash: 'a' } },
  "`X-User-Id` of the client's own on `/public`": {
    path: '/public',
    headers: ['X-User-Id', 'root'],
    header: ['x-user-id', 'root'],
  },
  "`X_User_Id`, another spelling of the client's own": {
    path: '/public',
    headers: ['X_User_Id', 'root'],
    header: ['x_user_id', 'root'],
  },
  'the token at the service': { path: '/orders', claims: {}, header: ['authorization', 'Bearer '] },
  'a path without a rule': { path: '/elsewhere', claims: {} },
};

async function outcomeOf(base: string, { upstream, place }: Sides, each: Case): Promise<Outcome> {
  const { path, claims, headers = [], inQuery } = each;
  const token = claims && mint(place.key, claimsOf({ iss: place.issuer, ...claims }), { typ: 'JWT' });
  const seen = upstream.seen.length;
  const { status } = await send(base, inQuery === undefined ? path : `${path}?${inQuery}=${token}`, {
    ...(token === undefined || inQuery !== undefined ? {} : { token }),
    headers,
  });
  return { status, seen: upstream.seen.slice(seen).find(({ url }) => url.startsWith(path))?.headers };
}

/** What a cell promises: a status, that the request passes, or what happens to a header. */
function promiseOf(cell: string): number | boolean | 'passes' {
  if (/^passes\b/.test(cell)) return 'passes';
  if (/^(?:reaches the service|is passed on)\b/.test(cell)) return true;
  if (/^is removed\b/.test(cell)) return false;
  const [, status] = /^(\d{3})\b/.exec(cell) ?? [];
  if (status === undefined) throw new Error(`what does the test look for? "${cell}"`);
  return Number(status);
}

function keeps(t: Test, cell: string, { header }: Case, { status, seen }: Outcome, who: string): void {
  const promised = promiseOf(cell);
  if (typeof promised === 'boolean') {
    const [name = '', text = ''] = header ?? [];
    t.equal(status, 200, who);
    t.equal([seen?.[name] ?? ''].flat().join().includes(text), promised, `${who}: ${name} at the service`);
  } else {
    t.equal(status, promised === 'passes' ? 200 : promised, who);
    t.equal(
      seen !== undefined,
      promised === 'passes',
      `${who}: ${promised === 'passes' ? 'the' : 'no'} service sees it`,
    );
  }
}

/** The rows under "What is stricter here": what, the product's cell, Sallyport's. */
export function rowsOf(page: string): [what: string, product: string, sallyport: string][] {
  const document = readFileSync(fileURLToPath(new URL(`../../../docs/${page}`, import.meta.url)), 'utf8');
  const [, section = ''] = /^## What is stricter here\n([^]*?)^## /m.exec(document) ?? [];
  return [...section.matchAll(/^\| (.+?) \| (.+?) \| (.+?) \|$/gm)]
    .map(([, what = '', product = '', sallyport = '']): [string, string, string] => [
      what,
      product,
      sallyport,
    ])
    .filter(([what]) => what !== 'what');
}

/** Plays each row of the table. @param others rows that another test holds */
export function playTable(t: Test, page: string, sides: Sides, others: readonly string[] = []): void {
  t.test('a good token passes on both sides, and a bad one on none', async (t) => {
    const good = { path: '/orders', claims: {} };
    const expired = { path: '/orders', claims: { exp: nowSeconds() - 3_600 } };
    for (const base of [sides.product, sides.sallyport]) {
      const { status, seen } = await outcomeOf(base, sides, good);
      t.equal(status, 200);
      t.ok(seen);
      const refused = await outcomeOf(base, sides, expired);
      t.ok(refused.status >= 400, String(refused.status));
      t.equal(refused.seen, undefined);
      t.equal((await outcomeOf(base, sides, { path: '/public' })).status, 200);
    }
  });
  const rows = rowsOf(page).filter(([what]) => !others.includes(what));
  t.ok(rows.length >= 5);
  for (const [what, product, sallyport] of rows)
    t.test(what, async (t) => {
      const each = CASES[what];
      if (each === undefined) throw new Error(`no case for "${what}" of ${page}`);
      keeps(t, product, each, await outcomeOf(sides.product, sides, each), 'the product');
      keeps(t, sallyport, each, await outcomeOf(sides.sallyport, sides, each), 'Sallyport');
    });
}
