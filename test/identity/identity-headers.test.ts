/** Any claim becomes a header that a service can turn back into the claim. Rule J15. */
import t from 'tap';
import fc from 'fast-check';
import { identityHeaders, isReservedHeader } from '../../src/identity/identity-headers.ts';
import { encodeClaim } from '../../src/token/encode-claim.ts';
import { parseIdentityText } from '../../src/identity/identity-value.ts';
import { parseStrictJson, type JsonValue } from '../../src/token/strict-json.ts';
import { tokenOf } from '../support/routes.ts';

const parse = (text: string): JsonValue => parseStrictJson(Buffer.from(text));

/** What the contract tells a service author to do. */
const read = (header: string): string[] => header.split(',').map(decodeURIComponent);

/** Of each property; more are for runs by hand. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1_000);
const text = fc.string({ unit: 'grapheme' }).filter((value) => value.isWellFormed());

t.test(
  'any text comes back, and no header ever breaks a line or has an edge that is trimmed (property)',
  async (t) => {
    fc.assert(
      fc.property(
        fc.oneof(
          text,
          fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed()),
        ),
        (claim) => {
          const header = encodeClaim(claim) ?? '';
          return (
            /^(?:[!-~](?:[ -~]*[!-~])?)?$/.test(header) &&
            read(header).join() === claim &&
            read(header).length === 1
          );
        },
      ),
      { numRuns: RUNS },
    );
    t.pass('held');
  },
);

t.test('a list of any texts comes back (property)', async (t) => {
  fc.assert(
    fc.property(fc.array(text, { minLength: 1 }), (claims) => {
      const header = encodeClaim(claims) ?? '';
      return JSON.stringify(read(header)) === JSON.stringify(claims);
    }),
    { numRuns: RUNS },
  );
  t.pass('held');
});

t.test('any other JSON comes back from base64url (property)', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const claim = parse(JSON.stringify({ wrapped: value }));
      const header = encodeClaim(claim) ?? '';
      return Buffer.from(header, 'base64url').toString() === JSON.stringify({ wrapped: value });
    }),
    { numRuns: RUNS },
  );
  t.pass('held');
});

t.test('numbers keep their digits; booleans and nothing', async (t) => {
  for (const digits of ['0', '-1', '1.0', '1e3', '12345678901234567890', '0.10'])
    t.equal(encodeClaim(parse(digits)), digits);
  t.equal(encodeClaim(true), 'true');
  t.equal(encodeClaim(null), undefined);
  t.equal(encodeClaim([]), undefined);
  t.equal(encodeClaim(parse('[1.0,true,"a b"]')), '1.0,true,a b');
  t.equal(Buffer.from(encodeClaim(parse('[{"a":1.0}]')) ?? '', 'base64url').toString(), '[{"a":1.0}]');
});

t.test('paths reach into claims, dots in names too; nothing inherited is a claim', async (t) => {
  const claims = '{"a":{"b":"c"},"x.y":"dot","z\\\\w":"back","$d":"dollar"}';
  const valueAt = (path: string): string | undefined =>
    identityHeaders([{ name: 'h', value: parseIdentityText(path) }], tokenOf(claims), 1000)?.[1];
  t.equal(valueAt('a.b'), 'c');
  t.equal(valueAt('x\\.y'), 'dot');
  t.equal(valueAt('z\\\\w'), 'back');
  t.equal(valueAt('\\$d'), 'dollar');
  for (const path of ['a.c', 'a.b.c', 'constructor', '__proto__', 'toString', 'a.toString'])
    t.equal(valueAt(path), undefined, path);
});

t.test('all headers together are bounded', async (t) => {
  const headers = [{ name: 'X-A', value: parseIdentityText('a') }];
  t.equal(identityHeaders(headers, tokenOf({ a: 'x'.repeat(93) }), 100)?.length, 2);
  t.equal(identityHeaders(headers, tokenOf({ a: 'x'.repeat(94) }), 100), undefined);
});

t.test('names of HTTP and of the gateway are reserved, in every spelling', async (t) => {
  for (const name of [
    'Host',
    'content_length',
    'X-Forwarded-User',
    'x.forwarded.for',
    'Cookie',
    'X-Original-URI',
    'VIA',
  ])
    t.ok(isReservedHeader(name), name);
  for (const name of ['X-User-Id', 'X-Roles', 'Tenant']) t.notOk(isReservedHeader(name), name);
});
