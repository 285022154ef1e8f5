/**
 * A rehearsal says what a gateway does: the requests of a log, sent again to a gateway with the other configuration, get what was
 * said, wherever something was said. Client and upstreams say what happened; the gateway's own log says on which route, and why.
 */
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import t from 'tap';
import { systemClock } from '../../src/clock.ts';
import { ConfigurationError, parseConfiguration, type LoadedConfiguration } from '../../src/config/load.ts';
import { ConfigurationRules } from '../../src/rehearsal/configuration-rules.ts';
import { loggedOutcome } from '../../src/rehearsal/logged-outcome.ts';
import { readLogLine, type LoggedRequest } from '../../src/rehearsal/logged-request.ts';
import { isSame, REPORT_UNKNOWN, Undecided, type Outcome } from '../../src/rehearsal/outcome.ts';
import { Rehearsal } from '../../src/rehearsal/rehearsal.ts';
import { keyFile } from '../support/api-keys.ts';
import { startGateway, until, withTestPorts, type TestGateway } from '../support/gateway.ts';
import { KEY_FILE, someRequest, type SentRequest } from '../support/rehearsed-requests.ts';
import {
  configurationOf,
  edited,
  sharesSources,
  someConfiguration,
  type Drawn,
} from '../support/rehearsed.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { startUpstream } from '../support/upstream.ts';

/** Pairs of configurations; 50 of them are 5,000 cases. */
const PAIRS = Number(process.env['FUZZ_RUNS'] ?? 4);
const CASES = 100;
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);

const agent = new Agent({ keepAlive: true, maxSockets: 4 });
t.teardown(() => agent.destroy());

interface Seen {
  readonly status: number;
  readonly code: string | undefined;
  /** The upstream that has responded. */
  readonly upstream: string | undefined;
}

/** One request, what it has got, and the line of the log that says so. */
interface Served {
  readonly seen: Seen;
  readonly logged: LoggedRequest;
}

async function sendTo(
  { port }: TestGateway,
  { method, path, headers }: SentRequest,
  id: string,
): Promise<Seen> {
  const request = httpRequest({
    ...{ host: '127.0.0.1', port, method, path, agent },
    headers: [...headers(), 'x-request-id', id],
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const body = (await response.toArray()).join('');
  const upstream = response.headers['x-upstream'];
  return {
    status: response.statusCode ?? 0,
    code: upstream === undefined && body !== '' ? (JSON.parse(body) as { code?: string }).code : undefined,
    upstream: typeof upstream === 'string' ? upstream : undefined,
  };
}

async function serveAll(
  gateway: TestGateway,
  loaded: LoadedConfiguration,
  requests: readonly SentRequest[],
): Promise<Served[]> {
  await gateway.instance.reload(loaded);
  const begin = gateway.log.length;
  const lines = (): Record<string, unknown>[] =>
    gateway.log.slice(begin).filter(({ msg }) => msg === 'request');
  const seen = await Promise.all(requests.map((request, index) => sendTo(gateway, request, `case-${index}`)));
  await until(() => lines().length === requests.length);
  const byId = new Map(lines().map((line) => [line['request_id'], line]));
  return seen.map((each, index) => {
    const line = readLogLine(JSON.stringify(byId.get(`case-${index}`)));
    if (line.kind !== 'request') throw new Error('a request has no line');
    return { seen: each, logged: line.request };
  });
}

/** Is it what the client, the upstreams and the gateway's log have seen? */
function agrees(after: Outcome, { seen, logged }: Served): boolean {
  const really = loggedOutcome(logged);
  if (really instanceof Undecided) return false;
  const { outcome } = really;
  const passes = seen.upstream !== undefined;
  return (
    isSame(after, outcome) &&
    passes === (after.verdict === 'passes') &&
    (after.verdict !== 'refused' || (after.status === seen.status && after.code === seen.code)) &&
    (!passes || after.upstreams.includes(seen.upstream ?? '')) &&
    (after.reported === outcome.reported || after.reported === REPORT_UNKNOWN)
  );
}

const rulesOf = (loaded: LoadedConfiguration): ConfigurationRules =>
  new ConfigurationRules(loaded, systemClock);

class Tally {
  cases = 0;
  decided = 0;
  changed = 0;
  readonly undecided = new Map<string, number>();

  /** @returns whether what was said is what happened, or nothing was said */
  add(rehearsal: Rehearsal, before: Served, after: Served): boolean {
    this.cases++;
    const verdict = rehearsal.decide(before.logged);
    const said = verdict instanceof Undecided ? verdict : verdict.after;
    if (verdict instanceof Undecided || said instanceof Undecided) {
      const { why } = said as Undecided;
      this.undecided.set(why, (this.undecided.get(why) ?? 0) + 1);
      return true;
    }
    this.decided++;
    if (!isSame(verdict.before, said)) this.changed++;
    return agrees(said, after);
  }

  get text(): string {
    const { cases, decided, changed, undecided } = this;
    const percent = Math.round((100 * decided) / Math.max(1, cases));
    return `${percent} % of ${cases} decided, ${changed} change; not: ${JSON.stringify(Object.fromEntries(undecided))}`;
  }
}

t.test(`what a rehearsal decides is what a gateway does: ${PAIRS * CASES} cases`, async (t) => {
  t.comment(`FUZZ_SEED=${SEED}`);
  const random = new SeededRandom(SEED);
  const urls: Record<string, string> = {};
  for (const name of ['a', 'b']) {
    const { url } = await startUpstream(t, (_, response) => {
      response.setHeader('x-upstream', name);
      response.end('ok');
    });
    urls[name] = url;
  }
  const { folder } = keyFile(t, KEY_FILE);
  const load = (drawn: Drawn, facts: boolean): LoadedConfiguration => {
    const text = JSON.stringify(withTestPorts({ realm: 'test', ...configurationOf(drawn, urls, facts) }));
    return { configuration: parseConfiguration(text, 'test.json', folder, {}), folder, file: 'test.json' };
  };
  /** Of drawn configurations some are refused: a rule that asks for nothing, a route that is hidden. */
  const valid = (draw: () => Drawn): Drawn => {
    for (;;) {
      const drawn = draw();
      try {
        load(drawn, true);
        return drawn;
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
      }
    }
  };
  const first = valid(() => someConfiguration(random));
  const gateway = await startGateway(t, configurationOf(first, urls, true), { folder });
  const revocation = { issuer: 'login', subject: 'mallory', reason: 'a test' };
  t.equal((await gateway.admin('POST', '/v1/revocations', revocation)).status, 201);
  const tallies: Record<string, Tally> = {};
  for (let pair = 0; pair < PAIRS; pair++) {
    const facts = pair % 2 === 0;
    const drawn = valid(() => someConfiguration(random));
    const other = valid(() => edited(random, drawn));
    const [earlier, later] = [load(drawn, facts), load(other, facts)];
    const requests = Array.from({ length: CASES }, () => someRequest(random));
    const before = await serveAll(gateway, earlier, requests);
    const after = await serveAll(gateway, later, requests);
    const [then, now] = [rulesOf(earlier), rulesOf(later)];
    for (const rules of sharesSources(drawn, other) ? [then, undefined] : [then]) {
      const rehearsal = new Rehearsal(now, rules, systemClock);
      const kind = `${facts ? 'facts' : 'no facts'}, ${rules ? 'with --before' : 'without'}`;
      const tally = (tallies[kind] ??= new Tally());
      const wrong = before.filter((each, index) => !tally.add(rehearsal, each, after[index] ?? each));
      t.strictSame(wrong, [], `pair ${pair}, ${kind}: the gateway does what was said`);
      t.equal(rehearsal.unfit, 0, 'each line fits the configuration that has written it');
    }
  }
  for (const [kind, tally] of Object.entries(tallies)) t.comment(`${kind}: ${tally.text}`);
  const informed = tallies['facts, with --before'];
  t.ok(informed && informed.decided > informed.cases / 2, 'most are decided');
  t.ok(informed && informed.changed > 0, 'some change');
});
