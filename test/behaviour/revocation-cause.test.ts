/** Why a token is refused stands in the log, in `explain` and on the page; the client never waits for it. Rules A5, V10. */
import { once } from 'node:events';
import { get as httpGet, type IncomingMessage } from 'node:http';
import t from 'tap';
import { alone } from '../../src/assembly/place.ts';
import type { RevocationEntry } from '../../src/revocation/revocation-store.ts';
import { send } from '../support/client.ts';
import {
  loginIssuer,
  startGateway,
  until,
  type GatewayOptions,
  type TestGateway,
} from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { claimsOf, createKey, ISSUER, mint } from '../support/tokens.ts';
import { startServer, startUpstream } from '../support/upstream.ts';

const key = createKey('EdDSA');
const upstream = await startUpstream(t);

const configuration = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  issuers: { login: loginIssuer(key) },
  routes: [{ name: 'r', match: {}, upstream: 'u' }],
  upstreams: { u: { targets: [upstream.url] } },
  ...more,
});

async function revoke(gateway: TestGateway, body: object): Promise<string> {
  const response = await gateway.admin('POST', '/v1/revocations', { issuer: ISSUER, ...body });
  t.equal(response.status, 201);
  return ((await response.json()) as { id: string }).id;
}

/** The line of a request that was refused. */
async function lineOf(gateway: TestGateway, token: string): Promise<Record<string, unknown>> {
  const lines = (): Record<string, unknown>[] => gateway.log.filter(({ msg }) => msg === 'request');
  const [before, seen] = [lines().length, upstream.seen.length];
  t.equal((await send(gateway.url, '/', { token })).status, 401);
  await until(() => lines().length > before);
  t.equal(upstream.seen.length, seen, 'the upstream saw nothing');
  return lines().at(-1) ?? {};
}

/** A store that says who made an entry when the test lets it. */
function heldBack(): { options: GatewayOptions; clock: ManualClock; asked: () => number } {
  const clock = new ManualClock();
  let asked = 0;
  return {
    clock,
    asked: () => asked,
    options: {
      clock,
      place(loaded, clock) {
        const place = alone(loaded, clock);
        place.store.find = () => {
          asked++;
          return Promise.withResolvers<RevocationEntry | undefined>().promise;
        };
        return place;
      },
    },
  };
}

t.test('the line of a refused request has the entry and its cause', async (t) => {
  const gateway = await startGateway(t, configuration());
  const token = mint(key, claimsOf({ sub: 'alice', sid: 'phone' }));
  const subject = await revoke(gateway, { subject: 'alice', reason: 'offboarding' });
  const line = await lineOf(gateway, token);
  t.match(line, {
    status: 401,
    auth: { decision: 'deny', reason: 'revoked' },
    revocation: {
      id: subject,
      kind: 'subject',
      by: 'admin',
      reason: 'offboarding',
      age_seconds: Number,
      cause: /^subject revoked by operator admin \(offboarding\), \d+ s ago$/,
    },
  });
  t.notMatch(JSON.stringify(line), /alice/, 'A5 whose token it is stays a hash');
  const session = await revoke(gateway, { session: 'phone' });
  t.match(
    (await lineOf(gateway, token))['revocation'],
    { id: session, kind: 'session' },
    'the first that matches',
  );

  const found = (await (await gateway.admin('GET', '/v1/refusals?reason=revoked')).json()) as object;
  t.match(found, {
    refusals: [
      { revocation: { id: session, cause: /^session revoked by operator admin, \d+ s ago$/ } },
      { revocation: { id: subject, cause: /^subject revoked by operator admin \(offboarding\)/ } },
    ],
  });
  await gateway.admin('DELETE', `/v1/revocations/${subject}`);
  await gateway.admin('DELETE', `/v1/revocations/${session}`);
  t.equal((await send(gateway.url, '/', { token })).status, 200);
  const later = (await (await gateway.admin('GET', '/v1/refusals?reason=revoked')).json()) as object;
  t.match(
    later,
    { refusals: [{ revocation: { id: session, cause: null } }, {}] },
    'an entry that was undone',
  );
  const other = await (await gateway.admin('GET', '/v1/refusals?reason=missing')).json();
  t.match(other, { refusals: [] });
});

t.test('the line of what is refused for another reason has none', async (t) => {
  const gateway = await startGateway(t, configuration());
  await revoke(gateway, { subject: 'alice' });
  t.equal((await lineOf(gateway, `${mint(key)}x`))['revocation'], undefined);
});

t.test('a store that is silent delays the line for a moment, and no response', async (t) => {
  const { options, clock, asked } = heldBack();
  const gateway = await startGateway(t, configuration(), options);
  const token = mint(key, claimsOf({ sub: 'alice' }));
  const id = await revoke(gateway, { subject: 'alice' });
  const lines = (): Record<string, unknown>[] => gateway.log.filter(({ msg }) => msg === 'request');
  for (let sent = 0; sent < 5; sent++) t.equal((await send(gateway.url, '/', { token })).status, 401);
  t.equal(asked(), 1, 'the store is asked once');
  await until(() => {
    clock.advance(250);
    return lines().length === 5;
  });
  for (const line of lines()) t.strictSame(line['revocation'], { id });
});

t.test('lines that wait are written when the gateway stops', async (t) => {
  const { options, asked } = heldBack();
  const gateway = await startGateway(t, configuration(), options);
  const token = mint(key, claimsOf({ sub: 'alice' }));
  await revoke(gateway, { subject: 'alice' });
  t.equal((await send(gateway.url, '/', { token })).status, 401);
  await until(() => asked() === 1);
  await gateway.stop();
  t.equal(gateway.log.filter(({ msg }) => msg === 'request').length, 1);
});

t.test('V10 the line of a stream that ends with its token has the cause, too', async (t) => {
  const events = await startServer(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: tick\n\n');
  });
  const gateway = await startGateway(t, configuration({ upstreams: { u: { targets: [events] } } }));
  const token = mint(key, claimsOf({ client_id: 'web' }));
  const request = httpGet(gateway.url, { headers: { authorization: `Bearer ${token}` } });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.resume();
  const ended = once(response, 'error');
  const id = await revoke(gateway, { client: 'web', reason: 'stop' });
  await ended;
  const line = (): Record<string, unknown> | undefined =>
    gateway.log.find(({ error }) => error === 'token_revoked');
  await until(() => line() !== undefined);
  t.match(line()?.['revocation'], {
    id,
    kind: 'client',
    cause: /^client revoked by operator admin \(stop\)/,
  });
});
