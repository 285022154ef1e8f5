/** One path, one reading: what readPath refuses, what a route must allow, what else a path may be taken for. */
import t from 'tap';
import { readPath } from '../../src/http/path-policy.ts';
import { plainestOf } from '../../src/http/path-readings.ts';
import { outcome } from '../support/heads.ts';

const REFUSED = '400 bad_path';
const read = (path: string): unknown => outcome(() => readPath(path));

const refused: [name: string, ...paths: string[]][] = [
  ['C10 no path at all', '', 'a', '*', 'a/b', '.', '%2fa', 'http://a.example/'],
  ['C10 a dot segment', '/.', '/..', '/./', '/../', '/a/.', '/a/..', '/a/./b', '/a/../b', '/../../etc'],
  ['C10 a dot segment behind empty ones', '//..', '/a//../b', '//./a'],
  ['C10 an encoded dot segment', '/%2e', '/%2E/', '/%2e%2e/b', '/a/%2E./b', '/a/.%2e', '/a/%2e%2E'],
  ['C10 a dot segment encoded twice', '/%252e', '/%252e%252e/b', '/a/.%252E/b', '/%25%32%65/b'],
  ['C10 a dot segment encoded three times and more', '/%25252e%25252e/b', `/%${'25'.repeat(20)}2e/b`],
  ['C10 a dot segment between encoded slashes', '/a%2f..%2fb', '/a%2f%2e%2e', '/a%252f..%252fb', '/a%2F..'],
  ['C10 a dot segment with a path parameter', '/a/..;/b', '/a/..;x=1/b', '/a/.;', '/%2e%2e;/b', '/..%3b/b'],
  ['C10 an encoded NUL', '/a%00', '/%00', '/a%00.html', '/a%2500', '/a%25%30%30'],
  ['C10 an encoded backslash', '/a%5cb', '/a%5Cb', '/..%5c', '/a%255cb', '/a%25255Cb'],
  ['C10 a percent sign without two hex digits', '/%', '/a%', '/a%2', '/a%zz', '/a%2G', '/%-1', '/%u002e'],
  ['C10 a full-width dot as raw bytes', '/\xef\xbc\x8e\xef\xbc\x8e/b'],
];
for (const [name, ...paths] of refused) {
  t.test(`refused: ${name}`, async (t) => {
    for (const path of paths) t.equal(read(path), REFUSED, JSON.stringify(path));
  });
}

t.test('H13 C10 each byte: raw what a path may hold, encoded all but NUL and backslash', async (t) => {
  const isRefused = (path: string): boolean => read(path) === REFUSED;
  const bytes = Array.from({ length: 256 }, (_, code) => code);
  const raw = bytes.filter((code) => !isRefused(`/a${String.fromCharCode(code)}b`));
  t.equal(
    String.fromCharCode(...raw),
    '!"$&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~',
  );
  const encoded = bytes
    .slice(0, 0x80)
    .filter((code) => isRefused(`/a%${code.toString(16).padStart(2, '0')}b`));
  t.strictSame(encoded, [0x00, 0x5c]);
});

t.test('H13 what has one reading passes, and needs nothing', async (t) => {
  for (const path of [
    ...['/', '/a', '/a/', '/a/b/c', '/a.b', '/a.', '/a./b', '/.a', '/.well-known/x', '/...', '/.../a'],
    ...['/a..b', '/..a', '/a../b', '/~u', "/:@!$&'()*+,=", '/a=..', '/-._~', `/${'a'.repeat(8_000)}`],
  ])
    t.strictSame(readPath(path), { needs: [], otherReadings: [] }, path.slice(0, 40));
});

const ambiguous: [name: string, path: string, needs: string[], otherReading: string][] = [
  ['C10 an escaped letter', '/%61dmin', [], '/admin'],
  ['C10 a letter escaped twice', '/%2561dmin', [], '/admin'],
  ['C10 a letter whose escape is escaped', '/%25%36%31dmin', [], '/admin'],
  ['C10 a letter escaped four times', '/%25252561dmin', [], '/admin'],
  ['C10 an escaped escape of nothing', '/100%25', [], '/100%'],
  ['C10 an escaped escape of no hex digits', '/a%25zz', [], '/a%zz'],
  ['C10 an escaped space', '/admin%20', [], '/admin '],
  ['C10 an escaped question mark', '/admin%3Fb', [], '/admin'],
  ['C10 a question mark escaped twice', '/admin%253f', [], '/admin'],
  ['C10 an escaped hash', '/admin%23b', [], '/admin'],
  ['C10 an escaped line end', '/a%0D%0Ab', [], '/a\r\nb'],
  ['C10 UTF-8 is read byte by byte', '/caf%C3%A9', [], '/caf\xc3\xa9'],
  ['C10 an encoded slash', '/a%2fb', ['encoded_slash'], '/a/b'],
  ['C10 an encoded slash in capitals', '/a%2Fb', ['encoded_slash'], '/a/b'],
  ['C10 encoded slashes side by side', '/a%2f%2Fb', ['encoded_slash'], '/a/b'],
  ['C10 an encoded slash behind a raw one', '/%2fadmin', ['encoded_slash'], '/admin'],
  ['C10 a slash encoded twice', '/a%252fb', ['double_encoding'], '/a/b'],
  ['C10 a slash encoded digit by digit', '/a%25%32%46b', ['double_encoding'], '/a/b'],
  ['C10 a slash encoded three times', '/a%25252fb', ['double_encoding'], '/a/b'],
  ['C10 both', '/a%2fb%252fc', ['double_encoding', 'encoded_slash'], '/a/b/c'],
  ['C10 an empty segment', '/a//b', ['empty_segments'], '/a/b'],
  ['C10 empty segments in front', '///a', ['empty_segments'], '/a'],
  ['C10 an empty segment at the end', '/a//', ['empty_segments'], '/a/'],
  ['C10 nothing but empty segments', '//', ['empty_segments'], '/'],
  ['C10 an empty segment and an escape', '//%61', ['empty_segments'], '/a'],
];
t.test('what a route must allow, and what else the path may be taken for', async (t) => {
  for (const [name, path, needs, otherReading] of ambiguous) {
    const reading = readPath(path);
    t.strictSame([...reading.needs].sort(), needs, `${name}: ${path}`);
    t.strictSame(reading.otherReadings, [otherReading], `${name}: ${path}`);
  }
});

t.test('C10 a path is decoded until nothing changes', async (t) => {
  const rows: [path: string, decoded: string][] = [
    ['/a', '/a'],
    ['/%61', '/a'],
    ['/%2561', '/a'],
    ['/%25252561', '/a'],
    ['/caf%C3%A9', '/caf\xc3\xa9'],
    ['/100%25', '/100%'],
    ['/a%2', '/a%2'],
  ];
  for (const [path, decoded] of rows) t.equal(plainestOf(path), decoded, path);
});
