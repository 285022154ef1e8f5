/** What services read is what the token said: the reader that ships, and the examples of docs/identity.md. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { identityValue } from '../src/http/identity-headers.ts';
import { identityJson, identityText, identityTexts } from '../src/identity-reader.ts';
import { parseStrictJson, type JsonValue } from '../src/token/strict-json.ts';
import { temporaryFolder } from './support/process.ts';

const asClaim = (value: unknown): JsonValue => parseStrictJson(Buffer.from(JSON.stringify(value)));
const scalar = fc.oneof(
  fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
  fc.integer(),
  fc.boolean(),
);

t.test('any scalar comes back as its text, any list as theirs (property)', async (t) => {
  fc.assert(
    fc.property(scalar, (value) => identityText(identityValue(asClaim(value))) === String(value)),
    { numRuns: 3_000 },
  );
  fc.assert(
    fc.property(
      fc.array(scalar, { minLength: 1 }),
      (values) =>
        JSON.stringify(identityTexts(identityValue(asClaim(values)))) === JSON.stringify(values.map(String)),
    ),
    { numRuns: 3_000 },
  );
  t.pass('held');
});

// JSON.parse of V8 13.6 (Node 24) takes {"q":1,"ab\n":1} for the {"q":1,"ab\\":1} that it has read before.
const anyJson = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('\\\\'));

t.test('any object, and any list that holds one, comes back as it was (property)', async (t) => {
  fc.assert(
    fc.property(anyJson, fc.boolean(), (inner, listed) => {
      const value = listed ? ['x', { inner }] : { inner };
      const header = identityValue(asClaim(value));
      const read = JSON.stringify(identityJson(header));
      const sent = JSON.stringify(value);
      if (read !== sent) throw new Error(`${sent} went as ${header} and came as ${read}`);
    }),
    { numRuns: 2_000 },
  );
  t.pass('held');
});

t.test('no header is nobody; what the gateway cannot have written is an error', async (t) => {
  for (const nothing of [undefined, null, []]) {
    t.equal(identityText(nothing), undefined);
    t.equal(identityTexts(nothing), undefined);
    t.equal(identityJson(nothing), undefined);
  }
  t.equal(identityText(['alice']), 'alice');
  t.throws(() => identityText('a,b'), TypeError, 'a list is no single text');
  for (const twice of ['alice, root', ['alice', 'root']]) {
    t.throws(() => identityTexts(twice), TypeError);
    t.throws(() => identityText(twice), TypeError);
    t.throws(() => identityJson(twice), TypeError);
  }
  for (const odd of ['%', '%zz', '%ff', ' alice']) t.throws(() => identityText(odd), TypeError, odd);
  for (const odd of ['{}', 'e30=', 'AAAA', '']) t.throws(() => identityJson(odd), TypeError, odd);
});

const document = readFileSync(new URL('../docs/identity.md', import.meta.url), 'utf8');
const HEADERS = {
  'X-User-Id': '%C3%A4lice',
  'X-Roles': 'admin,read%2Cwrite',
  'X-Tenant': 'eyJpZCI6ImFjbWUifQ',
};
const READ = ['älice', ['admin', 'read,write'], 'acme'];

/** The example in this language, as it is printed. */
const example = (language: string): string =>
  new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(document)?.[1] ?? '';

interface Language {
  readonly version: readonly string[];
  readonly file: string;
  readonly command: (file: string) => readonly string[];
  /** The example, and a program around it that prints what it read, as JSON. */
  readonly program: (text: string) => string;
}

const pairs = Object.entries(HEADERS);
const languages: Record<string, Language> = {
  python: {
    version: ['python3', '--version'],
    file: 'main.py',
    command: (file) => ['python3', file],
    program: (text) => `${text}\nprint(json.dumps(caller(${JSON.stringify(HEADERS)})))\n`,
  },
  go: {
    version: ['go', 'version'],
    file: 'main.go',
    command: (file) => ['go', 'run', file],
    program: (text) =>
      `${text.replace('import (', 'import (\n"fmt"')}
func main() {
	header := http.Header{${pairs.map(([name, value]) => `"${name}": {"${value}"}`).join(', ')}}
	user, err := identityTexts(header, "X-User-Id")
	if err != nil { panic(err) }
	roles, err := identityTexts(header, "X-Roles")
	if err != nil { panic(err) }
	var tenant struct { Id string \`json:"id"\` }
	if err := identityJSON(header, "X-Tenant", &tenant); err != nil { panic(err) }
	printed, _ := json.Marshal([]any{user[0], roles, tenant.Id})
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
      return `${imports}
public class Main {
  public static void main(String[] args) throws Exception {
    List<String> roles = Identity.texts("${HEADERS['X-Roles']}");
    String tenant = Identity.json("${HEADERS['X-Tenant']}").replaceAll(".*:\\"(.*)\\".*", "$1");
    String printed = "[\\"" + Identity.texts("${HEADERS['X-User-Id']}").get(0) + "\\",[\\"" + String.join("\\",\\"", roles) + "\\"],\\"" + tenant + "\\"]";
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
    `the example in ${name} reads what the document says`,
    { skip: missing && `${compiler} is not installed` },
    async (t) => {
      t.strictSame(JSON.parse(run(t, file, program(example(name)), command)), READ);
    },
  );
}

t.test('the example in js reads what the document says', async (t) => {
  const reader = new URL('../src/identity-reader.ts', import.meta.url).href;
  const program = `${example('js').replace('sallyport/identity', reader)}
server.listen(0, '127.0.0.1', async () => {
  const answer = await fetch('http://127.0.0.1:' + server.address().port, { headers: ${JSON.stringify(HEADERS)} });
  console.log(await answer.text());
  server.close();
});`;
  t.strictSame(JSON.parse(run(t, 'main.mjs', program, (file) => [process.execPath, file])), READ);
});

function run(t: Test, file: string, text: string, command: Language['command']): string {
  const folder = temporaryFolder(t);
  const path = join(folder, file);
  writeFileSync(path, text);
  const [program = '', ...args] = command(path);
  return execFileSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, GOCACHE: process.env['GOCACHE'] ?? join(folder, 'cache'), GOFLAGS: '-mod=mod' },
  });
}
