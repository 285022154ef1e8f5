/** What services read is what the token said: the reader that ships, and the examples of docs/identity.md. */
import fc from 'fast-check';
import t from 'tap';
import { parse } from 'yaml';
import { parseConfiguration } from '../../src/config/load.ts';
import { encodeClaim } from '../../src/token/encode-claim.ts';
import {
  identityJson,
  identityObject,
  IdentityRefused,
  identityScopes,
  identityText,
  identityTexts,
  readIdentity,
} from '../../packages/identity/src/index.ts';
import { scopesText } from '../../src/identity/identity-value.ts';
import { parseStrictJson, type JsonValue } from '../../src/token/strict-json.ts';
import {
  base64url,
  document,
  example,
  EXPECTED,
  HEADERS,
  REQUESTS,
  runExample,
  testExample,
} from '../support/identity-examples.ts';

const asClaim = (value: unknown): JsonValue => parseStrictJson(Buffer.from(JSON.stringify(value)));
const scalar = fc.oneof(
  fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
  fc.integer(),
  fc.boolean(),
);

t.test('any scalar comes back as its text, any list as theirs (property)', async (t) => {
  fc.assert(
    fc.property(scalar, (value) => identityText(encodeClaim(asClaim(value))) === String(value)),
    { numRuns: 600 },
  );
  fc.assert(
    fc.property(
      fc.array(scalar, { minLength: 1 }),
      (values) =>
        JSON.stringify(identityTexts(encodeClaim(asClaim(values)))) === JSON.stringify(values.map(String)),
    ),
    { numRuns: 600 },
  );
  t.pass('held');
});

// JSON.parse of V8 13.6 (Node 24) takes {"q":1,"ab\n":1} for the {"q":1,"ab\\":1} that it has read before.
const anyJson = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('\\\\'));

t.test('any object, and any list that holds one, comes back as it was (property)', async (t) => {
  fc.assert(
    fc.property(anyJson, fc.boolean(), (inner, listed) => {
      const value = listed ? ['x', { inner }] : { inner };
      const header = encodeClaim(asClaim(value));
      const read = JSON.stringify(identityJson(header));
      const sent = JSON.stringify(value);
      if (read !== sent) throw new Error(`${sent} went as ${header} and came as ${read}`);
    }),
    { numRuns: 400 },
  );
  t.pass('held');
});

t.test('no header is no caller; what the gateway cannot have written is refused', async (t) => {
  for (const nothing of [undefined, null, []]) {
    t.equal(identityText(nothing), undefined);
    t.equal(identityTexts(nothing), undefined);
    t.equal(identityJson(nothing), undefined);
    t.equal(identityObject(nothing), undefined);
  }
  t.equal(identityJson(''), undefined, 'a decision listener says it so');
  t.equal(identityText(['alice']), 'alice');
  for (const twice of ['alice, root', ['alice', 'root']]) {
    t.throws(() => identityTexts(twice), IdentityRefused);
    t.throws(() => identityText(twice), IdentityRefused);
    t.throws(() => identityJson(twice), IdentityRefused);
  }
  for (const odd of ['%', '%zz', '%ff', ' alice']) t.throws(() => identityText(odd), IdentityRefused, odd);
  for (const odd of ['{}', 'e30=', 'AAAA']) t.throws(() => identityJson(odd), IdentityRefused, odd);
});

t.test(
  'a claim of another type is a refusal that a framework understands, never another error',
  async (t) => {
    t.throws(() => identityText('a,b'), IdentityRefused, 'a list is no single text');
    for (const scalar of [null, 1, true, 'acme', [], ['acme'], [1, null]])
      t.throws(
        () => identityJson(base64url(scalar)),
        IdentityRefused,
        `a text that reads as ${String(scalar)}`,
      );
    t.throws(() => identityObject(base64url([{ id: 'acme' }])), IdentityRefused, 'a list is no object');
    t.strictSame(identityJson(base64url([{ id: 'acme' }])), [{ id: 'acme' }]);
    t.match(new IdentityRefused(), { status: 403, statusCode: 403 });
    t.ok(new IdentityRefused() instanceof TypeError);
    t.equal(
      readIdentity(() => identityText('a,b')),
      undefined,
    );
    t.equal(
      readIdentity(() => identityText('a')),
      'a',
    );
    t.throws(
      () =>
        readIdentity(() => {
          throw new RangeError('of the service');
        }),
      RangeError,
      'what is wrong with the service itself stays visible',
    );
  },
);

t.test('any scopes come back as they were (property), and joined headers are refused', async (t) => {
  const scopes = fc.uniqueArray(
    fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => text.isWellFormed()),
    { minLength: 1 },
  );
  fc.assert(
    fc.property(
      scopes,
      (sent) => JSON.stringify(identityScopes(scopesText(new Set(sent)))) === JSON.stringify(sent),
    ),
    { numRuns: 400 },
  );
  for (const nothing of [undefined, null, [], '']) t.strictSame(identityScopes(nothing), []);
  for (const odd of ['a, b', 'a,b', ' a', 'a ', 'a  b', 'a %', ['a', 'b']])
    t.throws(() => identityScopes(odd), IdentityRefused, JSON.stringify(odd));
});

t.test('any claim, read as any type, is read or refused (property)', async (t) => {
  const readers = [identityText, identityTexts, identityJson, identityObject];
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), scalar.map(base64url)), fc.nat(3), (value, at) => {
      const header = encodeClaim(asClaim(value));
      readIdentity(() => readers[at]?.(header));
    }),
    { numRuns: 600 },
  );
  t.pass('held');
});

t.test('the configuration in front of the examples sets the headers that they read', async (t) => {
  const blocks = [...document.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = '']) => text);
  const { identity } = parse(blocks.at(-1) ?? '') as { identity: { headers: Record<string, string> } };
  const routes = { routes: [{ name: 'a', match: {}, upstream: 'u', auth: { mode: 'none' } }] };
  const upstreams = { u: { targets: ['http://127.0.0.1:3000'] } };
  parseConfiguration(JSON.stringify({ identity, ...routes, upstreams }), 'identity.md', '/tmp', {});
  t.strictSame(
    ['X-User-Id', ...Object.keys(identity.headers), 'X-Scopes'],
    Object.keys(HEADERS),
    'besides the defaults',
  );
});

testExample(t, 'python');

t.test('the example in js reads what the document says, and refuses a claim of another type', async (t) => {
  const reader = new URL('../../packages/identity/src/index.ts', import.meta.url).href;
  const program = `${example('js').replace('sallyport/identity', reader)}
server.listen(0, '127.0.0.1', async () => {
  const read = [];
  for (const headers of ${JSON.stringify(REQUESTS)}) {
    const response = await fetch('http://127.0.0.1:' + server.address().port, { headers });
    const body = await response.text();
    read.push(response.status === 401 ? null : JSON.parse(body));
  }
  console.log(JSON.stringify(read));
  server.close();
});`;
  const printed = runExample(t, 'main.mjs', program, (file) => [process.execPath, file]);
  t.strictSame(JSON.parse(printed), EXPECTED);
});
