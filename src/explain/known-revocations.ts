/** What a dry run knows of the revocation list: all of it where it may ask, else nothing; and of the status lists of issuers. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { openStore } from '../assembly/revocation-store.ts';
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { RevocationEntry, RevocationStore } from '../revocation/revocation-store.ts';
import { idOfKey } from '../revocation/revocation-target.ts';
import { RevocationView } from '../revocation/revocation-view.ts';
import type { Revocations } from '../stages/check-revocation.ts';
import { describeError } from '../telemetry/logger.ts';
import type { StatusLists } from '../status-lists/status-lists.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { statusesOf, type KnownStatuses } from './known-statuses.ts';

export interface KnownRevocations {
  readonly view: Revocations;
  readonly statuses: KnownStatuses;
  /** What was asked, for people. */
  readonly text: string;
  /** The list could be asked, and was. */
  readonly asked: boolean;
  /** The entries that may have revoked a token. */
  entriesFor(token: AuthenticToken): Promise<readonly RevocationEntry[]>;
  close(): Promise<void>;
}

/** How long the list may take to come. */
const LOAD_TIMEOUT_MS = 10_000;

export async function revocationsFor(
  loaded: LoadedConfiguration,
  clock: Clock,
  online: boolean,
  lists: StatusLists,
): Promise<KnownRevocations> {
  const statuses = statusesOf(lists, online);
  const known = await listFor(loaded, clock, online);
  return { ...known, statuses };
}

async function listFor(
  loaded: LoadedConfiguration,
  clock: Clock,
  online: boolean,
): Promise<Omit<KnownRevocations, 'statuses'>> {
  const { store: where } = loaded.configuration.revocation;
  if (!online) return nothingKnown('the revocation list was not asked (--online does)');
  if (where === 'memory:') return nothingKnown('the list of memory: is in the running gateway only');
  if (typeof where === 'string' && where.startsWith('sqlite:') && !existsSync(fileOf(where, loaded)))
    return nothingKnown('there is no revocation list yet');
  const store = openStore(loaded, clock);
  const view = new RevocationView(store, clock);
  const { promise, resolve: done } = Promise.withResolvers<string>();
  view.once('loaded', () => done(`the list holds ${view.size}`));
  view.once('lost', (error) => done(`the list is unavailable: ${describeError(error)}`));
  const cancel = clock.after(LOAD_TIMEOUT_MS, () => done('the list did not come in time'));
  view.start();
  const text = await promise;
  cancel();
  return {
    view,
    text,
    asked: true,
    entriesFor: (token) => entriesFor(store, token),
    async close() {
      await view.stop();
      await store.close();
    },
  };
}

/** What a gateway that runs knows: its own view decides, and the store says why. */
export function revocationsOf(
  view: RevocationView,
  store: RevocationStore,
  lists: StatusLists,
): KnownRevocations {
  return {
    view,
    statuses: statusesOf(lists, true),
    text: `the list holds ${view.size}`,
    asked: true,
    // A store that is down cannot say which entry it was; that the token is revoked stands.
    entriesFor: (token) => entriesFor(store, token).catch(() => []),
    close: async () => undefined,
  };
}

async function entriesFor(store: RevocationStore, { revocable }: AuthenticToken): Promise<RevocationEntry[]> {
  const entries = await Promise.all(revocable.keys.map((key) => store.find(idOfKey(key))));
  return entries.filter((entry) => entry !== undefined);
}

function fileOf(store: string, { folder }: LoadedConfiguration): string {
  return resolve(folder, store.slice('sqlite:'.length));
}

function nothingKnown(text: string): Omit<KnownRevocations, 'statuses'> {
  return {
    view: { ageMs: 0, isRevoked: () => false },
    text,
    asked: false,
    entriesFor: async () => [],
    close: async () => undefined,
  };
}
