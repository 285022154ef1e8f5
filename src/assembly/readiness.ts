/**
 * Whether the gateway should get requests, and what it cannot serve: /readyz. A loss of the store or of keys does not make a
 * gateway unready that was ready before, since all replicas would go at once; the report names the routes that respond with
 * 503 because of it. Pure.
 */
import type { Readiness } from '../admin/routes.ts';
import type { Policy } from '../policy.ts';
import type { WatchedReplayStore } from '../replay/watched-replay-store.ts';
import type { StatusLists } from '../status-lists/status-lists.ts';
import { outageWord } from './replay-reports.ts';
import {
  namesText,
  routesThatNeedKeysOf,
  routesThatNeedListsOf,
  routesThatRefuseStale,
  routesWithProofs,
} from './unserved-routes.ts';

export interface ReadinessFacts {
  readonly policy: Policy;
  /** Of the local view; Infinity before a list was loaded. */
  readonly viewAgeMs: number;
  readonly storeConnected: boolean;
  /** The memory of used proofs; undefined where another process has it. */
  readonly replay: Pick<WatchedReplayStore, 'outage' | 'hasResponded'> | undefined;
  readonly issuers: {
    /** By issuer: are its keys there? */
    readonly remoteKeySets: ReadonlyMap<string, { readonly available: boolean }>;
    readonly statusLists: Pick<StatusLists, 'byIssuer'>;
  };
  /** Some keys have not been asked for once. */
  readonly keysPending: boolean;
  /** The keys of every issuer must be there first (`readiness.require_keys`). */
  readonly awaitsKeys: boolean;
  readonly draining: boolean;
}

/** One line of the report. */
interface Finding {
  readonly good: boolean;
  readonly text: string;
  /** Routes that respond with 503 because of it. */
  readonly refusing: readonly string[];
}

/** It is asked several times a second: unlike the report, its cost does not grow with the number of routes. */
export function isReady({ viewAgeMs, keysPending, awaitsKeys, draining }: ReadinessFacts): boolean {
  return viewAgeMs !== Infinity && !keysPending && !awaitsKeys && !draining;
}

export function readinessOf(facts: ReadinessFacts): Readiness {
  const findings = [
    { good: true, text: 'configuration', refusing: [] },
    listFinding(facts),
    ...proofsFinding(facts),
    ...[...facts.issuers.remoteKeySets].map(([issuer, { available }]) =>
      keysFinding(issuer, available, facts.policy),
    ),
    ...[...facts.issuers.statusLists.byIssuer].map(([issuer, { lists }]) =>
      statusFinding(issuer, [...lists], facts.policy),
    ),
    ...(facts.draining ? [{ good: false, text: 'draining', refusing: [] }] : []),
  ];
  return {
    ready: isReady(facts),
    degraded: findings.some(({ refusing }) => refusing.length > 0),
    report: findings.map(lineOf),
  };
}

function lineOf({ good, text, refusing }: Finding): string {
  const consequence = refusing.length > 0 ? `; 503 on ${namesText(refusing)}` : '';
  return `${good ? '[+]' : '[-]'} ${text}${consequence}`;
}

function listFinding({ policy, viewAgeMs, storeConnected }: ReadinessFacts): Finding {
  const store = storeConnected ? '' : ', and the store is unavailable';
  const refusing = routesThatRefuseStale(policy);
  if (viewAgeMs === Infinity) return { good: false, text: `revocation list: not loaded${store}`, refusing };
  const limitSeconds = policy.maxViewAgeMs / 1000;
  if (viewAgeMs > policy.maxViewAgeMs) {
    const ageSeconds = Math.round(viewAgeMs / 1000);
    return {
      good: false,
      text: `revocation list: ${ageSeconds} s old, above revocation.max_view_age (${limitSeconds} s)${store}`,
      refusing,
    };
  }
  return {
    good: true,
    text: storeConnected
      ? 'revocation list'
      : `revocation list: the store is unavailable; the local view serves until it is ${limitSeconds} s old`,
    refusing: [],
  };
}

/** Nothing where no route accepts proofs. */
function proofsFinding({ policy, replay }: ReadinessFacts): Finding[] {
  const refusing = routesWithProofs('deny', policy);
  if (!replay || refusing.length + routesWithProofs('allow', policy).length === 0) return [];
  const { outage, hasResponded } = replay;
  if (outage) {
    const text = `used proofs: the store is ${outageWord(outage)}`;
    return [{ good: false, text, refusing }];
  }
  const text = hasResponded ? 'used proofs' : 'used proofs: no proof has come yet';
  return [{ good: true, text, refusing: [] }];
}

function keysFinding(issuer: string, available: boolean, policy: Policy): Finding {
  if (available) return { good: true, text: `keys of ${issuer}`, refusing: [] };
  return {
    good: false,
    text: `keys of ${issuer}: unavailable`,
    refusing: routesThatNeedKeysOf(issuer, policy),
  };
}

/** Only tokens that name one of these lists are refused. */
function statusFinding(
  issuer: string,
  lists: readonly { readonly isCurrent: boolean }[],
  policy: Policy,
): Finding {
  const stale = lists.filter(({ isCurrent }) => !isCurrent).length;
  if (stale === 0) return { good: true, text: `status lists of ${issuer}: ${lists.length}`, refusing: [] };
  return {
    good: false,
    text: `status lists of ${issuer}: ${stale} of ${lists.length} unavailable or too old`,
    refusing: routesThatNeedListsOf(issuer, policy),
  };
}
