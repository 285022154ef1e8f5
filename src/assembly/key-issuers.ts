/** The issuers of API keys of one configuration: where the keys of each are, and by which policy they are looked at. */
import { resolve } from 'node:path';
import type { ApiKeySource } from '../api-keys/api-key.ts';
import { expiryOf } from '../api-keys/key-expiry.ts';
import { ApiKeyVerifier } from '../api-keys/api-key-verifier.ts';
import type { Clock } from '../clock.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import type { RevocableClaim } from '../token/authentic-token.ts';
import { compileClaimNames } from './compile-claim-names.ts';
import { KeyFile, type KeyFileObserver } from './key-file.ts';

export interface KeyIssuerParts {
  readonly clock: Clock;
  /** Of the machine where the files are; default: `clock`. A dry run may be at another time than now. */
  readonly fileClock?: Clock;
  readonly observer: KeyFileObserver;
  /** The keys of an issuer that are in the store; undefined: this process has none at hand. */
  readonly storedKeys?: ((issuerName: string) => ApiKeySource) | undefined;
}

const DAY_MS = 86_400_000;

export class KeyIssuers {
  /** By issuer name. */
  readonly verifiers = new Map<string, ApiKeyVerifier>();
  readonly #parts: KeyIssuerParts;
  readonly #previous: ReadonlyMap<string, KeyFile> | undefined;
  /** By issuer name. */
  readonly #files = new Map<string, KeyFile>();
  #cancel: () => void = () => undefined;

  /** @param previous whose files go on where they are the same */
  constructor(parts: KeyIssuerParts, previous: KeyIssuers | undefined) {
    this.#parts = parts;
    this.#previous = previous ? previous.#files : undefined;
  }

  /** Files of keys, by issuer name. */
  get files(): ReadonlyMap<string, KeyFile> {
    return this.#files;
  }

  /**
   * @param folder of the configuration, for relative paths
   * @throws ConfigurationError with every problem of a file
   */
  add(name: string, issuer: IssuerConfiguration, folder: string, claims: readonly RevocableClaim[]): void {
    const policy = {
      issuerName: name,
      tenant: compileClaimNames(issuer.claim_names).tenant,
      revocableClaims: claims,
    };
    this.verifiers.set(name, new ApiKeyVerifier(policy, this.#source(name, issuer, folder)));
  }

  #source(name: string, { api_keys: keys }: IssuerConfiguration, folder: string): ApiKeySource {
    const { clock, observer, storedKeys, fileClock = clock } = this.#parts;
    if (keys?.file === undefined) {
      if (storedKeys) return storedKeys(name);
      throw new TypeError('api_keys.store: the keys of the store are not at hand; use api_keys.file');
    }
    const path = resolve(folder, keys.file);
    const known = this.#previous?.get(name);
    const file = known?.file === path ? known : new KeyFile(name, path, fileClock, observer);
    this.#files.set(name, file);
    return file;
  }

  start(): void {
    for (const file of this.#files.values()) file.start();
    this.#tellOfExpiry();
  }

  /** At the start, and once a day from then on. */
  #tellOfExpiry(): void {
    const { clock, observer } = this.#parts;
    if (this.verifiers.size === 0) return;
    for (const [name, { source }] of this.verifiers) {
      const { soon } = expiryOf(source.entries, clock.nowMs() / 1000);
      if (soon.length > 0) observer.apiKeysExpire(name, soon);
    }
    this.#cancel = clock.after(DAY_MS, () => this.#tellOfExpiry());
  }

  /** @param successor whose files go on */
  stop(successor?: KeyIssuers): void {
    this.#cancel();
    for (const [name, file] of this.#files) if (successor?.files.get(name) !== file) file.stop();
  }
}
