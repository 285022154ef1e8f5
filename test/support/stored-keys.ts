/** Members of a fleet, as far as API keys go: the store and the keys of a gateway, without the rest of it. */
import type { Test } from 'tap';
import type { ApiKeyStore, NamedText } from '../../src/api-keys/api-key-store.ts';
import { KeyChanges, type KeyRights } from '../../src/api-keys/key-changes.ts';
import type { KeySeals } from '../../src/api-keys/key-book.ts';
import { keySha256, presentedForm } from '../../src/api-keys/key-text.ts';
import { KeySeal } from '../../src/api-keys/signed-keys.ts';
import { StoredKeys, type KeyCopy } from '../../src/api-keys/stored-keys.ts';
import { systemClock } from '../../src/clock.ts';

export const PARTNERS = 'partners';
export const INTEGRITY = 'integrity-key-of-the-tests-0123456789';

export interface KeyMember {
  readonly keys: StoredKeys;
  readonly changes: KeyChanges;
  /** What was ignored, by issuer; and how many entries were put back. */
  readonly ignored: string[];
  readonly restored: number[];
  readonly lost: unknown[];
  readonly told: NamedText[][];
  stop(): Promise<void>;
}

const NO_COPY: KeyCopy = { load: async () => [], save: () => undefined };

export const sealsOf = (...secrets: readonly string[]): KeySeals =>
  new Map([[PARTNERS, new KeySeal(secrets.length > 0 ? secrets : [INTEGRITY])]]);

/** @param seals undefined: those of the fleet */
export function joinKeys(
  t: Test,
  store: ApiKeyStore,
  { seals = sealsOf(), copy = NO_COPY, clock = systemClock } = {},
): KeyMember {
  const [ignored, restored, lost, told]: [string[], number[], unknown[], NamedText[][]] = [[], [], [], []];
  const keys = new StoredKeys({
    store,
    clock,
    copy,
    events: {
      ignored: (issuer) => void ignored.push(issuer),
      restored: (entries) => void restored.push(entries),
      lost: (error) => void lost.push(error),
      failing: () => undefined,
      found: () => undefined,
      changed: async (texts) => void told.push([...texts]),
    },
  });
  keys.use(seals);
  keys.start();
  const stop = async (): Promise<void> => {
    await keys.stop();
    await store.close();
  };
  t.teardown(stop);
  return { keys, changes: new KeyChanges(keys), ignored, restored, lost, told, stop };
}

export function rights(more: Partial<KeyRights> = {}): KeyRights {
  return {
    id: undefined,
    subject: 'billing',
    client: undefined,
    scopes: ['orders:read'],
    claims: {},
    expires: undefined,
    note: undefined,
    ...more,
  };
}

/** Would this member accept the key, as far as its entry goes? */
export function accepts({ keys }: KeyMember, secret: string): boolean {
  return keys.source(PARTNERS).find(presentedForm(keySha256(secret))) !== undefined;
}
