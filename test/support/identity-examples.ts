/**
 * The examples of docs/identity.md: services in several languages that read what the gateway says of a caller. Each is run
 * within a program that prints what it read of these requests.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { temporaryFolder } from './process.ts';

export const document = readFileSync(new URL('../../docs/identity.md', import.meta.url), 'utf8');
export const HEADERS = {
  'X-User-Id': '%C3%A4lice',
  'X-Roles': 'admin,read%2Cwrite',
  'X-Tenant': 'eyJpZCI6ImFjbWUifQ',
  'X-Scopes': 'orders:read orders%2Cwrite',
};
/** A text that the gateway writes for an object or for a list that holds one. */
export const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

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
export const REQUESTS: readonly Headers[] = [HEADERS, ...REFUSED, WITHOUT_SCOPES];
export const EXPECTED = [READ, ...REFUSED.map(() => null), [...READ.slice(0, 3), []]];

/** Kept: Go compiles its own library for the first run, which takes half a minute of two processors; not optimized. */
const GO = {
  GOCACHE: join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sallyport-providers/go-build'),
  GOFLAGS: '-mod=mod -gcflags=all=-N -ldflags=-s',
};

/** The example in this language, as it is printed. */
export const example = (language: string): string =>
  new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(document)?.[1] ?? '';

interface Language {
  readonly version: readonly string[];
  readonly file: string;
  readonly command: (file: string) => readonly string[];
  /** The example, and a program around it that prints what it read of each request, as JSON; null for a refusal. */
  readonly program: (text: string) => string;
}

const LANGUAGES: Record<string, Language> = {
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

/** The example in this language reads what the document says; skipped where its compiler is missing. */
export function testExample(t: Test, name: string): void {
  const language = LANGUAGES[name];
  if (!language) throw new Error(`there is no example in ${name}`);
  const { version, file, command, program } = language;
  const [compiler = '', ...args] = version;
  const missing = spawnSync(compiler, args).status !== 0;
  void t.test(
    `the example in ${name} reads what the document says, and refuses a claim of another type`,
    { skip: missing && `${compiler} is not installed` },
    async (t) => {
      t.strictSame(JSON.parse(runExample(t, file, program(example(name)), command)), EXPECTED);
    },
  );
}

export function runExample(t: Test, file: string, text: string, command: Language['command']): string {
  const folder = temporaryFolder(t);
  const path = join(folder, file);
  writeFileSync(path, text);
  const [program = '', ...args] = command(path);
  return execFileSync(program, args, { encoding: 'utf8', env: { ...GO, ...process.env } });
}
