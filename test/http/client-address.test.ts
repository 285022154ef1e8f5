/** Who the client is, through proxies that are trusted and proxies that are not. Rules F1, F2. */
import t from 'tap';
import { clientAddress, normalAddress, TrustedPeers } from '../../src/http/client-address.ts';

const trusted = new TrustedPeers(['10.0.0.0/8', '2001:db8:1::/48', '192.0.2.1']);

t.test('F2 addresses of both families, mapped ones too, are trusted by network', async (t) => {
  for (const address of ['10.1.2.3', '2001:db8:1::7', '192.0.2.1', '::ffff:10.1.2.3'])
    t.ok(trusted.has(normalAddress(address)), address);
  for (const address of [
    '11.0.0.1',
    '2001:db8:2::7',
    '192.0.2.2',
    '::1',
    '::ffff:11.0.0.1',
    '',
    'localhost',
    '10.1.2',
  ])
    t.notOk(trusted.has(normalAddress(address)), address);
});

t.test('F2 the rightmost untrusted address, however it is written', async (t) => {
  const cases: [chain: string | undefined, client: string][] = [
    [undefined, '10.0.0.1'],
    ['203.0.113.9', '203.0.113.9'],
    ['6.6.6.6, 203.0.113.9, 10.2.3.4', '203.0.113.9'],
    ['6.6.6.6 ,203.0.113.9:4711,10.2.3.4', '203.0.113.9'],
    ['[2001:db8:9::1]:443, 10.2.3.4', '2001:db8:9::1'],
    ['[2001:db8:9::1], [2001:db8:1::2]', '2001:db8:9::1'],
    ['2001:db8:9::1', '2001:db8:9::1'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['6.6.6.6, unknown, 10.2.3.4', '10.2.3.4'],
    ['6.6.6.6, 10.1', '10.0.0.1'],
    ['6.6.6.6, 0x0a.0.0.1', '10.0.0.1'],
    ['6.6.6.6, "quoted"', '10.0.0.1'],
    ['6.6.6.6, ', '10.0.0.1'],
    ['10.9.9.9, 10.2.3.4', '10.9.9.9'],
  ];
  for (const [chain, client] of cases)
    t.equal(clientAddress('10.0.0.1', chain, trusted), client, chain ?? 'no chain');
});

t.test('F1 an untrusted peer is the client, whatever it says', async (t) => {
  t.equal(clientAddress('198.51.100.1', '10.0.0.1', trusted), '198.51.100.1');
});
