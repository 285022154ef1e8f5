/** What upstreams tell of themselves, as metrics and log lines: health, members, names that do not resolve. */
import type { Clock } from '../clock.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { UpstreamTries } from '../telemetry/upstream-tries.ts';
import type { MembersChange } from '../upstream/running-target.ts';
import type { HealthChange } from '../upstream/target-health.ts';
import type { UpstreamObserver } from '../upstream/upstream-forwarder.ts';

/** Why a server gets requests again, or none. */
const HEALTH_MESSAGES: Readonly<Record<HealthChange, string>> = {
  check_failed: 'the target fails its health checks, and gets no requests',
  check_passed: 'the target passes its health checks again',
  ejected: 'too many requests to the target failed in a row: it gets none for a while',
  readmitted: 'the target gets requests again, on probation',
  unreachable: 'no connection to this address of the target can be opened: others get its requests',
  reachable: 'this address of the target can be reached again',
};

const WARNINGS: ReadonlySet<HealthChange> = new Set(['ejected', 'check_failed', 'unreachable']);

/** A name that flaps writes one line in this time. */
const MEMBER_LINES_MS = 10_000;
/** Addresses in one line, of each kind. */
const ADDRESSES_IN_LINE = 20;

export function upstreamObserver(metrics: Metrics, logger: Logger, clock: Clock): UpstreamObserver {
  const members = new MemberLines(logger, clock);
  const failing = new Set<string>();
  return {
    retried: (upstream) => {
      metrics.retries.child(upstream).value++;
    },
    triesOf: (upstream, target) => new UpstreamTries(metrics.upstreamRequests, upstream, target),
    healthChanged: (upstream, target, { change, address, cause }) => {
      const level = WARNINGS.has(change) ? 'warn' : 'info';
      logger[level]({ upstream, target, address, cause }, HEALTH_MESSAGES[change]);
    },
    membersChanged: (upstream, target, change) => members.changed(upstream, target, change),
    resolved: (upstream, target, error) => {
      metrics.resolutions.child(upstream, target, error ? 'failure' : 'success').value++;
      const key = JSON.stringify([upstream, target]);
      if (error && !failing.has(key)) {
        failing.add(key);
        logger.warn(
          { upstream, target, error: describeError(error) },
          'the name of the target does not resolve; its last addresses stay in use',
        );
      } else if (!error && failing.delete(key)) {
        logger.info({ upstream, target }, 'the name of the target resolves again');
      }
    },
  };
}

/** Says which addresses came and went, in one line for all changes of some seconds. */
class MemberLines {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** What was not said yet, of targets that had a line a moment ago. */
  readonly #recent = new Map<string, MembersChange | undefined>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  changed(upstream: string, target: string, change: MembersChange): void {
    const key = JSON.stringify([upstream, target]);
    if (!this.#recent.has(key)) {
      this.#say(key, upstream, target, change);
      return;
    }
    const before = this.#recent.get(key);
    this.#recent.set(key, {
      ...change,
      joined: [...new Set([...(before?.joined ?? []), ...change.joined])],
      left: [...new Set([...(before?.left ?? []), ...change.left])],
    });
  }

  #say(key: string, upstream: string, target: string, change: MembersChange): void {
    const { joined, left, members, leftOut } = change;
    this.#recent.set(key, undefined);
    this.#clock.after(MEMBER_LINES_MS, () => {
      const more = this.#recent.get(key);
      this.#recent.delete(key);
      if (more) this.#say(key, upstream, target, more);
    });
    const counts = { members, joined: joined.length, left: left.length, left_out: leftOut };
    const addresses = {
      joined_addresses: joined.slice(0, ADDRESSES_IN_LINE),
      left_addresses: left.slice(0, ADDRESSES_IN_LINE),
    };
    const level = leftOut > 0 ? 'warn' : 'info';
    this.#logger[level](
      { upstream, target, ...counts, ...addresses },
      'the addresses of the target have changed',
    );
  }
}
