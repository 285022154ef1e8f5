/** This gateway as one of a fleet: what it says of itself, and what it replies to the others. */
import { hostname } from 'node:os';
import { pid } from 'node:process';
import { Fleet } from '../admin/fleet.ts';
import type { AskedFor, GatewayReport, Question, Replies } from '../admin/fleet-messages.ts';
import type { RevocationMark } from '../revocation/mark.ts';
import { compareVersions } from '../revocation/mark.ts';
import type { RevocationView } from '../revocation/revocation-view.ts';
import { VERSION } from '../version.ts';
import { knowsKey } from './api-keys-api.ts';
import { canaryTurnsOf } from './canary.ts';
import type { Generation, Lasting } from './generation.ts';
import { isCalled } from './signal-client-parts.ts';

type Given = Pick<Lasting, 'place' | 'view' | 'clock' | 'isReady' | 'log' | 'apiKeys' | 'canaryWatch'>;

/** @param generation the one that serves now */
export function fleetOf(given: Given, generation: () => Generation): Fleet {
  const { place, view, clock, log } = given;
  const startedAt = Math.round(clock.nowMs() / 1_000);
  const fleet: Fleet = new Fleet({
    store: place.store,
    view,
    clock,
    logger: log.logger,
    report: () => reportOf(given, generation(), startedAt),
    respond: <A extends Question['about']>(question: AskedFor<A>) =>
      respond(question, given, generation()) as Promise<Replies[A]>,
    task: (signal) => canaryTurnsOf({ ...given, fleet }, generation).run(signal),
  });
  return fleet;
}

function reportOf(
  { place, view, isReady, canaryWatch }: Given,
  { policy, identity, loaded }: Generation,
  startedAt: number,
): GatewayReport {
  const own = { ready: isReady(), degraded: false, report: [] };
  return {
    name: policy.name,
    host: hostname(),
    pid,
    version: VERSION,
    workers: place.workers,
    started_at: startedAt,
    ready: (place.overview?.readiness(own) ?? own).ready,
    view_age_seconds: Number.isFinite(view.ageMs) ? view.ageMs / 1_000 : null,
    view_position: view.position ?? null,
    config_hash: identity.hash,
    canary: canaryWatch.last ?? null,
    transmitters: Object.entries(loaded.configuration.signals).flatMap(([name, transmitter]) =>
      isCalled(transmitter) ? [name] : [],
    ),
  };
}

async function respond(
  question: Question,
  { place, view, apiKeys, canaryWatch }: Given,
  { seen }: Generation,
): Promise<Replies[Question['about']]> {
  switch (question.about) {
    case 'refusals':
      return seen.localRefusals(question.query);
    case 'sessions':
      return (await seen.localSessions(question.query)) ?? null;
    case 'reported':
      return seen.localReported(question.limit);
    case 'api_key':
      return { isKnown: await knowsKey(apiKeys, question.key) };
    case 'canary':
      void canaryWatch.heard(question.canary);
      return { looksOut: true };
    case 'marks': {
      const marks = marksInForce(view, question.marks);
      if (marks) await place.inForce?.(marks);
      return { inForce: marks !== undefined };
    }
  }
}

/** The marks that are in force here; undefined where one of those that were asked for is not. */
function marksInForce(
  view: RevocationView,
  asked: AskedFor<'marks'>['marks'],
): readonly RevocationMark[] | undefined {
  const marks = asked.flatMap(({ id, undone = false, ...version }) => {
    const mark = view.mark(id);
    // A later revocation of what was undone refuses: the undo is not in force.
    const isInForce = mark && mark.revoked === !undone && compareVersions(mark.version, version) >= 0;
    return isInForce ? [mark] : [];
  });
  return marks.length === asked.length ? marks : undefined;
}
