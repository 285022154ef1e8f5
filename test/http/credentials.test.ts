/** Credentials that come again on a connection. RFC 9110 section 11.4. */
import t from 'tap';
import { Credentials, LastCredentials } from '../../src/http/credentials.ts';
import { presentedDigest } from '../../src/token/token-digest.ts';

t.test('credentials that come again are read once, others each time', async (t) => {
  const last = new LastCredentials();
  const first = last.read('Bearer abc');
  // Another string with the same characters, as each request brings it.
  t.equal(last.read(['Bearer', 'abc'].join(' ')), first);
  const other = last.read('Bearer abd');
  t.not(other, first);
  t.equal(other.token, 'abd');
  for (const text of ['bearer abd', 'Bearer  abd', 'Bearer abd ', 'Bearer abD', 'Bearer ab', ''])
    t.not(last.read(text), other, text);
});

t.test('C7 the digest is that of the token as it came', async (t) => {
  for (const text of ['Bearer abc', 'bearer   abc', 'DPoP abc'])
    t.equal(new Credentials(text).digest, presentedDigest('abc'), text);
});

t.test('long credentials are not kept, so that idle connections hold little memory', async (t) => {
  const last = new LastCredentials();
  const fits = `Bearer ${'a'.repeat(4_096 - 7)}`;
  t.equal(last.read(fits), last.read(fits));
  const long = `${fits}a`;
  t.not(last.read(long), last.read(long));
  t.equal(last.read(long).token, long.slice(7));
});
