/** URLs that name one resource have one form, and no others do. Rule D9. */
import t from 'tap';
import { normalisedHtu, normalisedPath } from '../../src/http/request-url.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 5_000);

const spellings: Readonly<Record<string, readonly string[]>> = {
  'https://api.example.com/orders': [
    'HTTPS://API.example.COM/orders',
    'https://api.example.com:443/orders',
    'https://api.example.com:/orders',
    'https://api.example.com:0443/orders',
    'https://api.example.com./orders',
    'https://api.example.com/orders?a=1',
    'https://api.example.com/orders?',
    'https://api.example.com/orders#top',
    'https://api.example.com/orders#top?a=/b',
    'https://api.example.com/orders?a=/../b#c',
    'https://api.example.com/%6Frders',
    'https://api.example.com/%6frd%65rs',
    'https://api.example.com/./orders',
    'https://api.example.com/a/../orders',
    'https://api.example.com/a/%2e%2E/orders',
    'https://api.example.com/../orders',
  ],
  'http://example.com/': [
    'http://example.com',
    'http://example.com:80',
    'http://example.com?a',
    'http://example.com#a',
    'http://example.com/.',
    'http://example.com/a/..',
    'http://example.com/%2e',
  ],
  'https://example.com/~user/%C3%A9': [
    'https://example.com/%7Euser/%c3%a9',
    'https://example.com/~user/%C3%a9',
  ],
  'https://[2001:db8::1]:8443/a//b;c/': [
    'https://[2001:DB8:0:0:0:0:0:1]:8443/a//b;c/',
    'https://[2001:db8::0001]:08443/a//b;c/x/..',
    'https://[2001:db8::1]:8443/a///../b;c/',
  ],
};
for (const [form, others] of Object.entries(spellings)) {
  t.test(`D9 each spelling of ${form} has this form`, async (t) => {
    for (const spelling of [form, ...others]) t.equal(normalisedHtu(spelling), form, spelling);
  });
}

t.test('D9 what names another resource has another form', async (t) => {
  const different = [
    'https://api.example.com/a/b',
    'http://api.example.com/a/b',
    'https://api.example.com:8443/a/b',
    'https://api.example.com:80/a/b',
    'https://api.example.com.evil.example/a/b',
    'https://xn--pi-nga.example.com/a/b',
    'https://api.example.com/a/b/',
    'https://api.example.com/A/b',
    'https://api.example.com/a//b',
    'https://api.example.com//a/b',
    'https://api.example.com/a%2Fb',
    'https://api.example.com/a%252Fb',
    'https://api.example.com/a%5Cb',
    'https://api.example.com/a/b;',
    'https://api.example.com/a/b;c=1',
    'https://api.example.com/a/b%3B',
    'https://api.example.com/a/b%3F',
    'https://api.example.com/a/b%23',
    'https://api.example.com/a/b%00',
    'https://api.example.com/a/b%20',
    'https://api.example.com/a/b+',
    'https://api.example.com/a/b%2B',
    'https://api.example.com/a/..;/a/b',
    'https://api.example.com/a/...',
    'https://api.example.com/a/%252e%252e/b',
    'https://api.example.com/a/b|',
    'https://api.example.com/a/b%7C',
    'https://127.0.0.1/a/b',
    'https://[::1]/a/b',
    'https://[::ffff:127.0.0.1]/a/b',
  ];
  const forms = different.map(normalisedHtu);
  t.notOk(forms.includes(undefined));
  t.equal(new Set(forms).size, different.length);
});

const uncertain: Readonly<Record<string, string>> = {
  'another scheme': 'ftp://example.com/',
  'a scheme of WebSocket': 'wss://example.com/',
  'no scheme': '//example.com/',
  'a path alone': '/orders',
  'no text': '',
  'one slash, which WHATWG URL takes for two': 'https:/example.com/',
  'three slashes, which WHATWG URL takes for two': 'https:///example.com/',
  'no host': 'https:///',
  'no host but a port': 'https://:443/',
  userinfo: 'https://api.example.com@evil.example/',
  'userinfo with a password': 'https://user:pass@example.com/',
  'a backslash for a slash': 'https:\\\\example.com/',
  'a backslash behind the host': 'https://example.com\\@evil.example/',
  'a backslash in the path': 'https://example.com/a\\b',
  'a tab, which WHATWG URL removes': 'https://exam\tple.com/',
  'a tab in the path': 'https://example.com/a\tb',
  'a line break in the path': 'https://example.com/a\nb',
  'a line break at the end': 'https://example.com/\n',
  'a space in front': ' https://example.com/',
  'a space at the end': 'https://example.com/ ',
  'a space in the query': 'https://example.com/?a b',
  NUL: 'https://example.com/\0',
  'a host of Unicode': 'https://éxample.com/',
  'a full-width dot': 'https://example。com/',
  'a soft hyphen in the host': 'https://exam\u00adple.com/',
  'a path of Unicode': 'https://example.com/é',
  'a query of Unicode': 'https://example.com/?é',
  'percent-encoding in the host': 'https://%65xample.com/',
  'two dots of the root': 'https://example.com../',
  'an empty label': 'https://a..example.com/',
  'a port beyond all': 'https://example.com:65536/',
  'two ports': 'https://example.com:443:443/',
  'two empty ports': 'https://example.com::/',
  'a zone of IPv6': 'https://[fe80::1%25eth0]/',
  'IPv6 without brackets': 'https://::1/',
  'IPv4 in octal': 'https://0177.0.0.1/',
  'IPv4 as one number': 'https://2130706433/',
  'punycode of nothing': 'https://xn--api-.example.com/',
  '% without digits': 'https://example.com/%',
  '% with one digit': 'https://example.com/%2',
  '% with no digits of hex': 'https://example.com/%2G',
  '% in a %': 'https://example.com/%%34%31',
  'what is too long': `https://example.com/${'a'.repeat(8_192)}`,
};
for (const [name, url] of Object.entries(uncertain)) {
  t.test(`D9 a URL has no form with ${name}`, async (t) => t.equal(normalisedHtu(url), undefined));
}

t.test('D9 the path of a request has the form of the path of a URL', async (t) => {
  for (const path of [
    '/',
    '/a/b',
    '/%7e',
    '/a;b=c//d',
    '/a%2fb',
    '/.well-known/x',
    '/a/...',
    '/a/.b',
    '/a/..b',
  ])
    t.equal(`https://example.com${normalisedPath(path)}`, normalisedHtu(`https://example.com${path}`), path);
  for (const path of ['', 'a', '/a?b', '/a#b', '/a b', '/%', '/é', '/a\\b', '*'])
    t.equal(normalisedPath(path), undefined, path);
});

/** A resource by its parts: characters that mean themselves, and bytes that are always encoded. */
interface Resource {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly segments: readonly (readonly string[])[];
}

const DEFAULT_PORTS = { http: 80, https: 443 } as const;
const ATOMS = [
  'a',
  'A',
  'b',
  '.',
  '.',
  '~',
  '-',
  ';',
  '=',
  '+',
  '%2F',
  '%25',
  '%3B',
  '%C3',
  '%00',
  '|',
  ':',
  '@',
];

function anyResource(random: SeededRandom): Resource {
  const segment = (): string[] => {
    const atoms = Array.from({ length: random.below(3) }, () => random.of(ATOMS));
    // These two are no segments but steps.
    return /^\.{1,2}$/.test(atoms.join('')) ? ['a'] : atoms;
  };
  return {
    scheme: random.of(['http', 'https']),
    host: random.of(['a.example', 'b.example', '[::1]']),
    port: random.of([80, 443, 8080]),
    segments: Array.from({ length: 1 + random.below(3) }, segment),
  };
}

/** One of the ways in which RFC 3986 lets its URL be written. */
function anySpelling({ scheme, host, port, segments }: Resource, random: SeededRandom): string {
  const inAnyCase = (text: string): string =>
    text.replace(/[a-z]/gi, (letter) => (random.below(2) ? letter.toUpperCase() : letter.toLowerCase()));
  const encoded = (atom: string): string => inAnyCase(`%${atom.charCodeAt(0).toString(16).padStart(2, '0')}`);
  const atomText = (atom: string): string =>
    atom.startsWith('%')
      ? inAnyCase(atom)
      : /[\w.~-]/.test(atom) && random.below(4) === 0
        ? encoded(atom)
        : atom;
  const steps = (): string => random.of(['', '', '', './', 'x/../', '%2e/', 'x/y/.%2E/%2e./', '/../']);
  const written = segments.map((atoms) => steps() + atoms.map(atomText).join(''));
  const isRoot = segments.length === 1 && segments[0]?.length === 0;
  const path = isRoot && random.below(2) ? '' : `/${written.join('/')}`;
  const dot = host.startsWith('[') || random.below(4) > 0 ? '' : '.';
  const portText =
    port === DEFAULT_PORTS[scheme] ? random.of(['', ':', `:${port}`]) : random.of([`:${port}`, `:0${port}`]);
  return `${inAnyCase(scheme)}://${inAnyCase(host)}${dot}${portText}${path}${random.of(['', '?q=/../', '#f', '?'])}`;
}

t.test(`D9 of ${RUNS} pairs of random URLs those have one form that name one resource`, async (t) => {
  t.comment(`FUZZ_SEED=${SEED}`);
  const random = new SeededRandom(SEED);
  const wrong: string[] = [];
  for (let run = 0; run < RUNS && wrong.length === 0; run++) {
    const one = anyResource(random);
    const other = random.below(4) ? { ...one, ...changeOf(anyResource(random), random) } : one;
    const urls = [anySpelling(one, random), anySpelling(other, random)];
    const [first, second] = urls.map(normalisedHtu);
    const isSame = JSON.stringify(one) === JSON.stringify(other);
    if (first === undefined || second === undefined || (first === second) !== isSame)
      wrong.push(`${urls.join(' and ')}: ${first} and ${second}`);
    else if (normalisedHtu(first) !== first) wrong.push(`${first} is not its own form`);
  }
  t.strictSame(wrong, []);
});

/** One part of another resource. */
function changeOf(other: Resource, random: SeededRandom): Partial<Resource> {
  const name = random.of(['scheme', 'host', 'port', 'segments', 'segments', 'segments'] as const);
  return { [name]: other[name] };
}
