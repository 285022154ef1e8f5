/** Single lines, decided again: what follows from them, and what does not. */
import { tmpdir } from 'node:os';
import t from 'tap';
import { systemClock } from '../../src/clock.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { ConfigurationRules } from '../../src/rehearsal/configuration-rules.ts';
import { readLogLine } from '../../src/rehearsal/logged-request.ts';
import { isElsewhere, Undecided } from '../../src/rehearsal/outcome.ts';
import { Rehearsal, type Verdict } from '../../src/rehearsal/rehearsal.ts';

type Members = Readonly<Record<string, unknown>>;

const issuer = (name: string): Members => ({
  ...{ issuer: `https://${name}.example`, jwks_url: `https://${name}.example/keys`, audiences: ['api'] },
});
const ISSUERS = { login: issuer('login'), other: issuer('other') };

const rules = (routes: readonly Members[], more: Members = {}): ConfigurationRules => {
  const text = JSON.stringify({
    ...{
      issuers: ISSUERS,
      routes,
      upstreams: { u: { targets: ['http://127.0.0.1:9'] }, v: { targets: ['http://127.0.0.1:9'] } },
    },
    ...more,
  });
  const configuration = parseConfiguration(text, 'test.json', tmpdir(), {});
  return new ConfigurationRules({ configuration, folder: tmpdir(), file: 'test.json' }, systemClock);
};
const route = (auth: Members, more: Members = {}): Members => ({
  ...{ name: 'orders', match: { path_prefix: '/orders' }, upstream: 'u', auth },
  ...more,
});

const line = (more: Members): string =>
  JSON.stringify({
    ...{
      msg: 'request',
      route: 'orders',
      method: 'GET',
      scheme: 'https',
      host: 'a.example',
      path: '/orders/1',
    },
    ...{ status: 200, upstream: 'u' },
    ...more,
  });
const ok = (auth: Members = {}): Members => ({
  auth: { decision: 'allow', reason: 'ok', issuer: 'login', client_id: 'web', jti_hash: 'x', ...auth },
});
const refused = (status: number, error: string, auth: Members | undefined): Members => ({
  ...{ status, error, upstream: undefined },
  ...(auth && { auth: { decision: 'deny', ...auth } }),
});
const LACKS_SCOPE = refused(403, 'insufficient_scope', {
  ...{ reason: 'insufficient_scope', issuer: 'login', jti_hash: 'x', missing_scope: 'write' },
});

const verdictOf = (
  text: string,
  now: ConfigurationRules,
  before?: ConfigurationRules,
): Verdict | Undecided => {
  const read = readLogLine(text);
  if (read.kind !== 'request') throw new Error('it is no request');
  return new Rehearsal(now, before, systemClock).decide(read.request);
};
/** In a word: `passes`, `403 insufficient_scope`, or why it is not decidable. */
const said = (text: string, now: ConfigurationRules, before?: ConfigurationRules): string => {
  const verdict = verdictOf(text, now, before);
  const after = verdict instanceof Undecided ? verdict : verdict.after;
  if (after instanceof Undecided) return `? ${after.why}`;
  const { verdict: what, status, code, reason, reported } = after;
  if (what === 'refused') return `${status} ${reason ?? code}`;
  return reported === undefined ? what : `${what}, reported ${reported}`;
};

t.test('what the log alone decides', async (t) => {
  const open = rules([route({ mode: 'none' })]);
  const closed = rules([route({})]);
  const scoped = rules([route({ scopes: ['write'] })]);
  for (const [text, now, expected] of [
    [line(ok()), closed, 'passes'],
    [line(ok()), open, 'passes'],
    [line(ok()), scoped, '? scopes'],
    [line(LACKS_SCOPE), scoped, '403 insufficient_scope'],
    [line(LACKS_SCOPE), closed, 'passes'],
    [line(LACKS_SCOPE), rules([route({ scopes: ['other'] })]), '? scopes'],
    [line(ok()), rules([route({ claims: { a: 'b' } })]), '? claims'],
    [line(ok()), rules([route({ acr: ['x'] })]), '? login'],
    [line(ok()), rules([route({ issuers: ['other'] })]), '401 unknown_issuer'],
    [line(ok({ issuer: 'renamed' })), closed, '? issuer'],
    [line(ok()), rules([route({ claims: { a: 'b' }, report_only: true })]), 'passes, reported unknown'],
    [line(ok()), rules([route({}, { match: { path_prefix: '/elsewhere' } })]), '404 no_route'],
    [line(ok()), rules([route({}, { match: { path_prefix: '/orders', headers: { v: '2' } } })]), '? headers'],
    [line(ok({ binding: 'dpop' })), closed, '401 missing'],
    [line(ok({ binding: 'certificate' })), closed, 'passes'],
    [line(refused(401, 'missing_token', { reason: 'missing' })), closed, '401 missing'],
    [line(refused(401, 'missing_token', { reason: 'missing' })), open, 'passes'],
    [
      line(refused(401, 'missing_token', { reason: 'missing' })),
      rules([route({ mode: 'optional' })]),
      '? credentials',
    ],
    [line(refused(401, 'invalid_token', { reason: 'expired', issuer: 'login' })), closed, '? token'],
    [line(refused(401, 'invalid_token', { reason: 'expired', issuer: 'login' })), open, 'passes'],
    [
      line(refused(401, 'invalid_token', { reason: 'revoked', issuer: 'login', jti_hash: 'x' })),
      closed,
      '401 revoked',
    ],
    [
      line(refused(503, 'keys_unavailable', { decision: 'error', reason: 'keys_unavailable' })),
      closed,
      '? outage',
    ],
    [
      line(
        refused(403, 'identity_too_large', { reason: 'identity_too_large', issuer: 'login', jti_hash: 'x' }),
      ),
      closed,
      '? size',
    ],
    [line(refused(429, 'rate_limited', undefined)), closed, '? limits'],
    [line({ auth: { decision: 'allow', reason: 'anonymous' } }), closed, '? credentials'],
    [
      line({ auth: { decision: 'allow', reason: 'anonymous' }, facts: { credentials: false } }),
      closed,
      '401 missing',
    ],
    [line({ ...refused(404, 'no_route', undefined), route: 'unmatched' }), closed, '? credentials'],
    [
      line({ ...refused(404, 'no_route', undefined), route: 'unmatched', path: '/x' }),
      closed,
      '404 no_route',
    ],
    [
      line({ ...refused(400, 'bad_path', undefined), route: 'unmatched', path: '/orders/../x' }),
      closed,
      '400 bad_path',
    ],
    [line({ ...refused(400, 'malformed_request', undefined), path: undefined }), closed, '? head'],
    [line({ ...ok(), path: '/orders/sp_live_...' }), closed, '? altered'],
    [line({ ...refused(503, 'overloaded', undefined) }), closed, '? failed'],
    [line({ status: 499, upstream: undefined }), closed, '? failed'],
    [line({ ...ok(), status: 499 }), closed, 'passes'],
    [line({ ...ok(), status: 502, error: 'upstream_unreachable' }), closed, 'passes'],
    [line({ ...ok(), status: 101 }), closed, '403 upgrade_not_allowed'],
    [line({ ...ok(), ...refused(508, 'loop_detected', undefined) }), closed, '508 loop_detected'],
  ] as const)
    t.equal(said(text, now), expected, text);
});

t.test('facts decide what rules would say', async (t) => {
  const now = rules([route({ scopes: ['write'], claims: { roles: ['admin', 'editor'] } })]);
  const before = rules([route({ claims: { roles: 'admin' } })]);
  const key = [...before.claimRules.keys()].join();
  const with_ = (facts: Members): string => line({ ...ok(), facts });
  t.equal(said(with_({ scopes: ['write'] }), now), '? claims');
  t.equal(said(with_({ lacks: ['write'] }), now), '403 insufficient_scope');
  t.equal(said(with_({ scopes: ['write'], holds: [...now.claimRules.keys()] }), now), 'passes');
  t.equal(said(with_({ scopes: ['write'], fails: [...now.claimRules.keys()] }), now), '403 claim_rule');
  t.equal(said(with_({ scopes: ['write'], holds: [key] }), now, before), 'passes', 'one of more values');
  t.equal(said(with_({ scopes: ['write'], fails: [key] }), now, before), '? claims', 'or the other value');
});

t.test('the configuration of before decides what was passed and failed', async (t) => {
  const now = rules([route({ scopes: ['read'], claims: { roles: ['admin', 'editor'] } })]);
  const strict = rules([route({ scopes: ['read', 'write'], claims: { roles: 'admin' } })]);
  t.equal(said(line(ok()), now, strict), 'passes');
  t.equal(said(line(ok()), strict, now), '? claims');
  t.equal(said(line(LACKS_SCOPE), strict, strict), '403 insufficient_scope');
  t.equal(said(line(LACKS_SCOPE), now, strict), '? claims', 'it had the other scope');
  const expired = line(refused(401, 'invalid_token', { reason: 'expired', issuer: 'login' }));
  t.equal(said(expired, now, strict), '401 expired');
  const skewed = rules([route({})], {
    issuers: { ...ISSUERS, login: { ...ISSUERS.login, clock_skew: '7s' } },
  });
  t.equal(said(expired, skewed, strict), '? token', 'another clock skew');
  t.equal(said(line(ok()), skewed, strict), '? issuer');
  const reported = line({ auth: { decision: 'report', reason: 'expired', issuer: 'login' } });
  const reporting = rules([route({ report_only: true })]);
  t.equal(said(reported, rules([route({})]), reporting), '401 expired', 'what was reported is refused');
  t.equal(said(reported, reporting, reporting), 'passes, reported expired');
});

t.test('a line that the configuration of before cannot have written counts for nothing', async (t) => {
  const now = rules([route({ scopes: ['read'] })]);
  const before = rules([route({ scopes: ['read'] }, { name: 'renamed' })]);
  const rehearsal = new Rehearsal(now, before, systemClock);
  const read = readLogLine(line(ok()));
  t.match(read.kind === 'request' && rehearsal.decide(read.request), { after: { why: 'scopes' } });
  t.equal(rehearsal.unfit, 1);
});

t.test('the headers that chose a route are known from the configuration of before', async (t) => {
  const v2 = route({}, { name: 'v2', match: { path_prefix: '/orders', headers: { 'X-Version': '2' } } });
  const both = rules([v2, route({})]);
  const now = rules([v2, route({ mode: 'none' })]);
  t.equal(said(line({ ...ok(), route: 'v2' }), now, both), 'passes');
  t.match(verdictOf(line({ ...ok(), route: 'v2' }), now, both), { after: { route: 'v2' } });
  t.match(verdictOf(line(ok()), now, both), { after: { route: 'orders' } }, 'nor had the other one it');
  t.equal(said(line(ok()), now), '? headers');
});

t.test('another upstream is told, by weight too', async (t) => {
  const to = (upstream: unknown): boolean => {
    const verdict = verdictOf(line(ok()), rules([route({}, { upstream })]));
    return (
      !(verdict instanceof Undecided) &&
      !(verdict.after instanceof Undecided) &&
      isElsewhere(verdict.before, verdict.after)
    );
  };
  t.notOk(to('u'));
  t.ok(to('v'));
  t.notOk(
    to([
      { name: 'u', weight: 1 },
      { name: 'v', weight: 9 },
    ]),
    'it may be the same',
  );
});

t.test('what the gateway serves itself, and preflights', async (t) => {
  const logout = { host: 'a.example', path: '/logout', client_ids: ['web'] };
  const now = rules([route({})], {
    issuers: { ...ISSUERS, login: { ...ISSUERS.login, backchannel_logout: logout } },
  });
  const own = { route: 'unmatched', method: 'POST', path: '/logout', upstream: undefined };
  t.equal(said(line(own), now), 'own');
  t.equal(said(line({ ...own, ...refused(400, 'invalid_logout_token', undefined) }), now), 'own');
  t.equal(said(line({ ...own, path: '/orders' }), now), '? own');
  const cors = rules([route({}, { cors: { origins: ['https://app.example'] } })]);
  const preflight = { method: 'OPTIONS', status: 204, upstream: undefined };
  t.equal(said(line(preflight), cors), '? preflight');
  t.equal(said(line({ ...ok(), method: 'OPTIONS' }), cors), '? preflight');
  t.equal(said(line({ ...ok(), method: 'OPTIONS', path: '/x' }), cors), '404 no_route');
});
