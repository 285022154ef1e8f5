/** What services read is what the token said: the reader that ships, and the examples of docs/identity.md. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t, { type Test } from 'tap';
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
} from '../../src/identity/reader.ts';
import { scopesText } from '../../src/identity/identity-value.ts';
import { parseStrictJson, type JsonValue } from '../../src/token/strict-json.ts';
import { temporaryFolder } from '../support/process.ts';

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

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

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

const document = readFileSync(new URL('../../docs/identity.md', import.meta.url), 'utf8');
const HEADERS = {
  'X-User-Id': '%C3%A4lice',
  'X-Roles': 'admin,read%2Cwrite',
  'X-Tenant': 'eyJpZCI6ImFjbWUifQ',
  'X-Scopes': 'orders:read orders%2Cwrite',
};
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

const READ = ['älice', ['admin', 'read,write'], 'acme', ['orders:read', 'orders,write']];

type Headers = Readonly<Record<string, string>>;
const { 'X-User-Id': _user, ...ANONYMOUS } = HEADERS;
/** Requests that a service refuses: without a user, and with claims of another type. */
const REFUSED: readonly Headers[] = [
  ANONYMOUS,
  { ...HEADERS, 'X-User-Id': '' },
  { ...HEADERS, 'X-User-Id': 'alice,bob' },
  { ...HEADERS, 'X-Scopes': 'orders:read, orders:write' },
  { ...HEADERS, 'X-Tenant': 'acme' },
  { ...HEADERS, 'X-Tenant': 'acme,globex' },
  ...[null, 7, 'acme', ['acme'], [{ id: 'acme' }]].map((tenant) => ({
    ...HEADERS,
    'X-Tenant': base64url(tenant),
  })),
  { ...HEADERS, 'X-Tenant': Buffer.from('['.repeat(5_000)).toString('base64url') },
];
const { 'X-Scopes': _scopes, ...WITHOUT_SCOPES } = HEADERS;
/** A refusal must not end the service: what comes behind is read. */
const REQUESTS: readonly Headers[] = [HEADERS, ...REFUSED, WITHOUT_SCOPES];
const EXPECTED = [READ, ...REFUSED.map(() => null), [...READ.slice(0, 3), []]];

/** Go compiles its own library for the first run: half a minute of two processors. It is kept, and not optimized. */
const GO = {
  GOCACHE: fileURLToPath(new URL('../../node_modules/.cache/go', import.meta.url)),
  GOFLAGS: '-mod=mod -gcflags=all=-N -ldflags=-s',
};

/** The example in this language, as it is printed. */
const example = (language: string): string =>
  new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(document)?.[1] ?? '';

interface Language {
  readonly version: readonly string[];
  readonly file: string;
  readonly command: (file: string) => readonly string[];
  /** The example, and a program around it that prints what it read of each request, as JSON; null for a refusal. */
  readonly program: (text: string) => string;
}

const languages: Record<string, Language> = {
  python: {
    version: ['python3', '--version'],
    file: 'main.py',
    command: (file) => ['python3', file],
    program: (text) =>
      `${text}\nprint(json.dumps([caller(each) for each in json.loads(${JSON.stringify(JSON.stringify(REQUESTS))})]))\n`,
  },
  go: {
    version: ['go', 'version'],
    file: 'main.go',
    command: (file) => ['go', 'run', file],
    program: (text) =>
      `${text.replace('import (', 'import (\n"fmt"')}
type recorder struct { body any }
func (*recorder) Header() http.Header { return http.Header{} }
func (*recorder) WriteHeader(status int) { if status != 401 { panic(status) } }
func (response *recorder) Write(text []byte) (int, error) { return len(text), json.Unmarshal(text, &response.body) }
func main() {
	var requests []map[string]string
	json.Unmarshal([]byte(${JSON.stringify(JSON.stringify(REQUESTS))}), &requests)
	read := []any{}
	for _, headers := range requests {
		request := &http.Request{Header: http.Header{}}
		for name, value := range headers { request.Header.Set(name, value) }
		response := &recorder{}
		handle(response, request)
		read = append(read, response.body)
	}
	printed, _ := json.Marshal(read)
	fmt.Println(string(printed))
}
`,
  },
  java: {
    version: ['javac', '-version'],
    file: 'Main.java',
    command: (file) => ['java', '-Dfile.encoding=UTF-8', '-Dstdout.encoding=UTF-8', file],
    program: (text) => {
      const [, imports = '', rest = ''] = /^([^]*?)\n\n([^]*)$/.exec(text) ?? [];
      const calls = REQUESTS.map((headers) =>
        Object.keys(HEADERS)
          .map((name) => JSON.stringify(headers[name] ?? null))
          .join(', '),
      );
      return `${imports}
public class Main {
  static String caller(String user, String roles, String tenant, String scopes) {
    try {
      return "[\\"" + Identity.text(user) + "\\",[\\"" + String.join("\\",\\"", Identity.texts(roles)) + "\\"],"
        + Identity.object(tenant).replaceAll(".*:(\\".*\\").*", "$1")
        + "," + Identity.scopes(scopes).stream().map(scope -> "\\"" + scope + "\\"").toList() + "]";
    } catch (Identity.Refused refused) {
      return "null";
    }
  }
  public static void main(String[] args) throws Exception {
    String printed = "[" + String.join(",", ${calls.map((call) => `caller(${call})`).join(', ')}) + "]";
    System.out.write(printed.getBytes(StandardCharsets.UTF_8));
    System.out.flush();
  }
}
${rest}`;
    },
  },
};

for (const [name, { version, file, command, program }] of Object.entries(languages)) {
  const [compiler = '', ...args] = version;
  const missing = spawnSync(compiler, args).status !== 0;
  t.test(
    `the example in ${name} reads what the document says, and refuses a claim of another type`,
    { skip: missing && `${compiler} is not installed` },
    async (t) => {
      t.strictSame(JSON.parse(run(t, file, program(example(name)), command)), EXPECTED);
    },
  );
}

t.test('the example in js reads what the document says, and refuses a claim of another type', async (t) => {
  const reader = new URL('../../src/identity/reader.ts', import.meta.url).href;
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
  const printed = run(t, 'main.mjs', program, (file) => [process.execPath, file]);
  t.strictSame(JSON.parse(printed), EXPECTED);
});

function run(t: Test, file: string, text: string, command: Language['command']): string {
  const folder = temporaryFolder(t);
  const path = join(folder, file);
  writeFileSync(path, text);
  const [program = '', ...args] = command(path);
  return execFileSync(program, args, { encoding: 'utf8', env: { ...GO, ...process.env } });
}
