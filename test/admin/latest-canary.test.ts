/** What a fleet shows by its latest canary, and whose turn it is to make the next one. Pure. Rule V7. */
import t from 'tap';
import { placeInRound } from '../../src/admin/canary-turns.ts';
import type { CanaryReport, GatewayReport } from '../../src/admin/fleet-messages.ts';
import { parseReport } from '../../src/admin/fleet-messages.ts';
import { latestCanary, type CanaryMember } from '../../src/admin/latest-canary.ts';

const MADE_AT = 1_800_000_000;
const canary = (state: CanaryReport['state'], changes: Partial<CanaryReport> = {}): CanaryReport => ({
  ...{ id: 'c', made_by: 'a', made_at: MADE_AT, state },
  ...(state === 'refused'
    ? { refused_after_seconds: 0.01, error_seconds: 0.001 }
    : { refused_after_seconds: null, error_seconds: null }),
  ...changes,
});
const member = (label: string, said: CanaryReport | null | undefined, startedAt = 0): CanaryMember => ({
  ...{ label, startedAt, canary: said, isLive: label !== 'h' },
});

t.test('V7 those that refuse it, and those that do not, each by name', async (t) => {
  const before = canary('refused', { id: 'b', made_at: MADE_AT - 60 });
  const fleet = [
    member('a', canary('refused')),
    member('b', canary('refused', { refused_after_seconds: 0.3, error_seconds: 0.002 })),
    member('c', canary('missed')),
    member('d', canary('unknown')),
    member('e', canary('waiting')),
    member('f', before),
    member('g', null),
    member('h', before),
    member('started since', null, MADE_AT + 1),
    member('of an older version', undefined),
  ];
  const shown = {
    ...{ made_by: 'a', made_at: MADE_AT, gateways: 8, refuse: 2, slowest_seconds: 0.3, error_seconds: 0.002 },
    ...{ missed: ['c'], unknown: ['d'] },
  };
  t.strictSame(latestCanary(fleet, MADE_AT + 40), {
    ...shown,
    ...{ waiting: ['e', 'f', 'g'], silent: ['h'] },
  });
  t.strictSame(latestCanary(fleet, MADE_AT + 41), { ...shown, waiting: [], silent: ['e', 'f', 'g', 'h'] });
  t.match(latestCanary([member('f', before)], MADE_AT), { made_at: MADE_AT - 60, gateways: 1, refuse: 1 });
  t.match(latestCanary([member('c', canary('missed'))], MADE_AT), { refuse: 0, slowest_seconds: null });
  t.equal(latestCanary([member('a', null), member('b', undefined)], MADE_AT), null);
});

t.test(
  'gateways take turns: the one after the last is first, and those that cannot are left out',
  async (t) => {
    const places = (own: string, last: string | undefined, gone: readonly string[] = []): number =>
      placeInRound(
        ['c', 'a', 'd', 'b', 'old'].map((label) => ({
          ...{ label, isThis: label === own, isLive: !gone.includes(label) },
          report: { canary: label === 'old' ? undefined : null } as GatewayReport,
        })),
        last,
      );
    const round = (last: string | undefined, gone?: readonly string[]): number[] =>
      ['a', 'b', 'c', 'd'].map((own) => places(own, last, gone));
    t.strictSame(round(undefined), [0, 1, 2, 3]);
    t.strictSame(round('a'), [3, 0, 1, 2]);
    t.strictSame(round('d'), [0, 1, 2, 3], 'after the last one the first');
    t.strictSame(round('bb'), [2, 3, 0, 1], 'the last one has gone');
    t.strictSame(round('a', ['b']), [2, -1, 0, 1]);
  },
);

t.test('what another version says of canaries does not make a gateway unknown', async (t) => {
  const report = {
    ...{ name: 'a', host: 'h', pid: 1, version: '9', workers: 1, started_at: 1, ready: true },
    ...{ view_age_seconds: 0, view_position: null, config_hash: '' },
  };
  t.equal(parseReport(JSON.stringify(report))?.canary, undefined);
  t.match(parseReport(JSON.stringify({ ...report, canary: { state: 'sings' } })), {
    name: 'a',
    canary: undefined,
  });
  t.match(parseReport(JSON.stringify({ ...report, canary: canary('missed') })), {
    canary: { state: 'missed' },
  });
});
