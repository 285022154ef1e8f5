/** What /v1/status says of upstreams where several workers see them. */
import t from 'tap';
import type { MemberReport, UpstreamReport } from '../../src/workers/calls.ts';
import { mergedUpstreams } from '../../src/workers/merged-upstreams.ts';

const url = 'http://orders.test';

function seen(members: readonly MemberReport[], cause?: string): UpstreamReport[] {
  return [{ name: 'u', targets: [{ url, healthy: cause === undefined, cause, members }] }];
}

t.test('a target or an address that one worker sees out is out, with the cause', async (t) => {
  const up = { address: '127.0.0.1', healthy: true, in_flight: 1 };
  const out = { address: '127.0.0.2', healthy: false, in_flight: 0, cause: 'status 503' };
  const merged = mergedUpstreams([
    seen([up, { ...out, healthy: true, in_flight: 2, cause: undefined } as MemberReport]),
    seen([out, up], 'status 503'),
  ]);
  t.strictSame(
    merged,
    seen(
      [
        { ...up, in_flight: 2 },
        { ...out, in_flight: 2 },
      ],
      'status 503',
    ),
  );
});

t.test(
  'an address that only some workers have resolved yet is said as the first worker sees it',
  async (t) => {
    const one = { address: '127.0.0.1', healthy: true, in_flight: 1 };
    t.strictSame(mergedUpstreams([seen([one]), seen([])]), seen([one]));
    t.strictSame(mergedUpstreams([]), []);
  },
);
