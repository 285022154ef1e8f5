/**
 * Signs where the chain of audit lines is, as an audit line of its own: at the start, at most `proof.checkpoint_every` after a
 * line, and at the end. Each process has its own chain, and so its own checkpoints. Without `proof` there are none.
 */
import type { Clock } from '../clock.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import type { ProofSigner } from '../identity/proof-jws.ts';
import { checkpointClaims, flattened, MAX_UNSIGNED_LINES } from '../telemetry/checkpoint.ts';
import type { Log } from '../telemetry/logger.ts';
import { VERSION } from '../version.ts';

/** A configuration in place. */
interface Signing {
  readonly loaded: LoadedConfiguration;
  readonly proof: ProofSigner | undefined;
}

export class Checkpoints {
  readonly #log: Log;
  readonly #clock: Clock;
  #signing: Signing | undefined;
  /** The line of the last one, in this chain. */
  #lastSeq = 0;
  #isWriting = false;
  #cancel: (() => void) | undefined;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    log.chain.linked = () => this.#linked();
  }

  /** Signs with the key of this configuration from now on; what the key before it has not yet signed, it signs first. */
  use(signing: Signing): void {
    const before = this.#signing?.proof;
    const { proof } = signing;
    const isSame = before ? before.isSameAs(proof) : proof === undefined;
    if (before && !isSame) {
      if (this.#unsigned > 0) this.#write();
      if (!proof?.publishesKeyOf(before))
        this.#log.logger.warn(
          { kid: before.keyId },
          'the key that signed proofs until now is published no longer; add it to proof.previous_keys',
        );
    }
    this.#signing = signing;
    if (proof && !isSame) this.#write();
  }

  /** The process stops in good order: the chain is closed. What comes later is a chain of its own. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (!this.#signing?.proof) return;
    this.#write(true);
    this.#signing = undefined;
    this.#log.chain.end();
  }

  /** Lines since the last one. */
  get #unsigned(): number {
    return this.#log.chain.head.seq - this.#lastSeq;
  }

  get #everyMs(): number {
    return this.#signing?.loaded.configuration.proof?.checkpoint_every ?? 0;
  }

  #linked(): void {
    if (this.#isWriting || !this.#signing?.proof) return;
    if (this.#unsigned >= MAX_UNSIGNED_LINES) return this.#write();
    this.#cancel ??= this.#clock.after(this.#everyMs, () => this.#write());
  }

  #write(closed = false): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const { loaded, proof } = this.#signing ?? {};
    if (!loaded || !proof) return;
    const { chain, audit } = this.#log;
    const gateway = loaded.configuration.name;
    const at = Math.floor(this.#clock.nowMs() / 1000);
    const every = this.#everyMs / 1000;
    const claims = checkpointClaims({ ...chain.head, closed, gateway, version: VERSION, at, every });
    this.#isWriting = true;
    audit.info(
      { audit: { action: 'checkpoint', closed, jws: flattened(proof.sign('audit-checkpoint+jwt', claims)) } },
      'audit',
    );
    this.#isWriting = false;
    this.#lastSeq = chain.head.seq;
  }
}
