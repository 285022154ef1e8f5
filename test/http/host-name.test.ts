/** One name, one reading of a host: each spelling is brought to one form, or refused. Rules C12, C22, H6. */
import t from 'tap';
import { isSameHost, readHost } from '../../src/http/host-name.ts';

const read = (text: string, scheme: 'http' | 'https' = 'https'): string | undefined =>
  readHost(text, scheme)?.authority;

t.test('C22 the spellings of one host have one form', async (t) => {
  const forms: Record<string, string[]> = {
    'api.example.com': [
      'API.Example.COM',
      'api.example.com.',
      'api.example.com:443',
      'api.example.com.:443',
      'API.EXAMPLE.COM.:00443',
    ],
    'api.example.com:8443': ['api.example.com.:8443', 'API.example.com:08443'],
    'api.example.com:80': ['api.example.com.:80'],
    localhost: ['LOCALHOST.'],
    '127.0.0.1': ['127.0.0.1.', '127.0.0.1:443', '127.0.0.1.:443'],
    '[::1]': ['[0:0:0:0:0:0:0:1]', '[::0001]:443', '[::0.0.0.1]'],
    '[::ffff:7f00:1]:1': ['[::FFFF:127.0.0.1]:1'],
    'xn--bcher-kva.example': ['XN--Bcher-KVA.example.'],
    a_b: ['A_B'],
    'r3---sn-x.example': ['r3---sn-x.example.'],
  };
  for (const [form, spellings] of Object.entries(forms)) {
    for (const spelling of [form, ...spellings]) t.equal(read(spelling), form, spelling);
    for (const spelling of spellings) t.ok(isSameHost(spelling, form, 'https'), spelling);
  }
  t.equal(read('a.example:80', 'http'), 'a.example');
  t.equal(read('a.example:443', 'http'), 'a.example:443');
  t.equal(readHost('A.example.:8443', 'https')?.hostname, 'a.example');
  t.equal(readHost('[::1]:8443', 'https')?.hostname, '[::1]');
});

const refused: Record<string, string[]> = {
  'no name': ['', '.', ':443', '[]', '[]:443'],
  'an empty label': ['api.example.com..', '.api.example.com', 'api..example.com', '..'],
  'a port that is none': [
    'a:',
    'a:65536',
    'a:99999',
    'a:443:443',
    'a:+1',
    'a:4a',
    'a:000443',
    '[::1]:',
    'a:-1',
  ],
  'percent-encoding': [
    'api%2eexample.com',
    '%61pi.example.com',
    'api.example.com%2e',
    'a%00',
    '[fe80::1%25eth0]',
  ],
  'a zone id': ['[fe80::1%eth0]', 'fe80::1%1'],
  'an IPv6 address in another form': [
    '::1',
    '[::1',
    '::1]',
    '[:::1]',
    '[1.2.3.4]',
    '[v1.a]',
    '[::1]x',
    '[::g]',
  ],
  'IPv4 in octal, hex, short or as one number': [
    '127.1',
    '0x7f.0.0.1',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '127.0.0.01',
    '127.0.0.0x1',
    '127.0.0.256',
    '1.2.3.4.5',
    'a.1',
    'a.0x',
    '127.0.0.1..',
  ],
  'letters that are no ASCII': [
    'b\xc3\xbccher.example',
    'b\xfccher.example',
    'api\xc2\xad.example.com',
    '\u212aelvin.example',
    'ap\u0131.example.com',
    'api\u3002example.com',
    'api.example.com\xa0',
  ],
  'xn-- before ASCII alone': [
    'xn--api-.example.com',
    'xn--.example',
    'a.xn--example-',
    'XN--api-.example.com',
  ],
  userinfo: ['user@api.example.com', 'api.example.com@evil.example', 'a:b@c'],
  'other marks': [
    'a,b',
    'a b',
    'a/b',
    'a\\b',
    'a?b',
    'a#b',
    'a;b',
    'a&b',
    'a=b',
    'a~b',
    "a'b",
    'a"b',
    'a*b',
    'a$b',
    'a!b',
    'a(b)',
    'a\tb',
    'a\nb',
    'a\0',
    '<a>',
    'a|b',
    'a^b',
    'a`b',
  ],
  'more than a name has': ['a'.repeat(256), `${'a.'.repeat(128)}a`],
};
for (const [what, texts] of Object.entries(refused)) {
  t.test(`C22 H6 a host with ${what} is refused`, async (t) => {
    for (const text of texts) {
      t.equal(read(text), undefined, JSON.stringify(text));
      t.notOk(isSameHost(text, text, 'https'), JSON.stringify(text));
    }
  });
}

t.test('a flood of names is read as well as the first ones', async (t) => {
  for (let index = 0; index < 3_000; index++) readHost(`H${index}.example.`, 'https');
  t.equal(read('H2999.example.'), 'h2999.example');
  t.equal(read('H1.example.'), 'h1.example');
  t.equal(read('H1.example.:443', 'http'), 'h1.example:443', 'each scheme has its own default port');
});

t.test('C12 a host that comes again is not read again, however many others came before', async (t) => {
  for (let index = 0; index < 3_000; index++) readHost(`odd-${index}.example.com`, 'https');
  const reading = readHost('later.example.com', 'https');
  t.equal(readHost('later.example.com', 'https'), reading, 'the very reading');
  t.not(readHost('odd-0.example.com', 'https'), undefined, 'and one that was given up is read');
});
