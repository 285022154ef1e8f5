/** What a transmitter says of itself: the examples of OpenID SSF 1.0 section 7; and the state of a verification. */
import t from 'tap';
import { readMetadata } from '../../src/signals/transmitter-metadata.ts';
import { madeAtMs, verificationState } from '../../src/signals/verification-state.ts';

const EXAMPLE = {
  issuer: 'https://tr.example.com',
  jwks_uri: 'https://tr.example.com/jwks.json',
  configuration_endpoint: 'https://tr.example.com/ssf/mgmt/stream',
  status_endpoint: 'https://tr.example.com/ssf/mgmt/status',
  verification_endpoint: 'https://tr.example.com/ssf/mgmt/verification',
};

t.test('the example of the specification is read', async (t) => {
  t.strictSame(readMetadata(EXAMPLE, 'https://tr.example.com'), {
    configurationEndpoint: 'https://tr.example.com/ssf/mgmt/stream',
    statusEndpoint: 'https://tr.example.com/ssf/mgmt/status',
    verificationEndpoint: 'https://tr.example.com/ssf/mgmt/verification',
  });
});

t.test('the metadata of another issuer is used for nothing', async (t) => {
  for (const issuer of ['https://tr.example.com/', 'https://other.example.com', undefined, 1])
    t.throws(() => readMetadata({ ...EXAMPLE, issuer } as never, 'https://tr.example.com'), Error);
  t.throws(() => readMetadata([], 'https://tr.example.com'), Error);
  t.throws(() => readMetadata({ ...EXAMPLE, status_endpoint: 'status' }, EXAMPLE.issuer), Error);
});

t.test('a state says when it was made, to every gateway; that of another says nothing', async (t) => {
  t.equal(madeAtMs(verificationState(1_764_000_000_000, '0b9d-1')), 1_764_000_000_000);
  for (const state of [
    '',
    'VGhpcyBpcyBhbiBleGFtcGxlIHN0YXRlIHZhbHVlLgo=',
    'sallyport.',
    'sallyport..x',
    'sallyport.a b.x',
  ])
    t.equal(madeAtMs(state), undefined, state);
});
