/** The transmitters of signals of one configuration: their keys, and an intake for each. docs/how-to/shared-signals.md. */
import { ConfigurationError, type LoadedConfiguration } from '../config/load.ts';
import type { TransmitterConfiguration } from '../config/signals-schema.ts';
import { SIGNAL_NOT_POSTED } from '../errors.ts';
import type { EndpointPlace } from '../handlers/server-endpoint.ts';
import type { RevocableIssuer } from '../revocation/entry-life.ts';
import type { Revoker } from '../revocation/revoker.ts';
import { SecurityEventTokenVerifier } from '../signals/security-event-token.ts';
import { SignalIntake } from '../signals/signal-intake.ts';
import { signalMemory } from '../signals/signal-memory.ts';
import type { TargetRules } from '../signals/signal-targets.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import { transmitterUrls } from '../token/key-discovery.ts';
import type { KeySet, RefreshedKeySet } from '../token/key-set.ts';
import type { Generation } from './generation.ts';
import { IssuerKeySets, type KeySetParts } from './issuer-key-sets.ts';
import { algorithmsOf } from './key-sets.ts';
import { streamEvents } from './signal-client-reports.ts';
import { signalObserver } from './signal-reports.ts';

interface Transmitter {
  readonly name: string;
  readonly configuration: TransmitterConfiguration;
  readonly keys: KeySet;
}

export class Transmitters {
  readonly #keySets: IssuerKeySets;
  readonly #all: readonly Transmitter[];
  /** A look at one token takes no signals. */
  readonly #isOneLook: boolean;
  #intakes: ReadonlyMap<string, SignalIntake> = new Map();

  /**
   * @param previous whose key sets are taken over where they are the same
   * @throws ConfigurationError where a key file cannot be used
   */
  constructor(
    { configuration, folder, file }: LoadedConfiguration,
    parts: KeySetParts,
    previous?: Transmitters,
  ) {
    const problems: string[] = [];
    this.#isOneLook = parts.oneLook === true;
    this.#keySets = new IssuerKeySets(
      { ...parts, metadataUrls: transmitterUrls },
      previous ? previous.#keySets : undefined,
    );
    this.#all = Object.entries(configuration.signals).flatMap(([name, transmitter]) => {
      try {
        const keys = this.#keySets.add(signalSource(name), transmitter, folder);
        return [{ name, configuration: transmitter, keys }];
      } catch (error) {
        problems.push(`${file}: signals.${name}: ${error instanceof Error ? error.message : String(error)}`);
        return [];
      }
    });
    if (problems.length > 0) throw new ConfigurationError(problems);
  }

  /** Key sets behind a URL, by what tells them from those of issuers. */
  get remoteKeySets(): ReadonlyMap<string, RefreshedKeySet> {
    return this.#keySets.remote;
  }

  /** Where their signals are taken, by the name of the transmitter; none before receive(). */
  get intakes(): ReadonlyMap<string, SignalIntake> {
    return this.#intakes;
  }

  /** Makes an intake for each. */
  receive(
    { loaded, lasting, issuers }: Pick<Generation, 'loaded' | 'lasting' | 'issuers'>,
    revoker: Revoker,
    audit: AuditLog,
  ): void {
    const { clock, store, place } = lasting;
    this.#intakes = new Map(
      this.#all.map(({ name, configuration, keys }) => {
        const { issuer, audiences, clock_skew, stream } = configuration;
        const clockSkewSeconds = clock_skew / 1000;
        const policy = { name, issuer, audiences, algorithms: algorithmsOf(configuration), clockSkewSeconds };
        const intake = new SignalIntake({
          transmitter: name,
          verifier: new SecurityEventTokenVerifier(policy, keys, clock),
          rules: targetRules(configuration, issuers.revocable),
          clockSkewSeconds,
          revoker,
          storeNowMs: () => store.nowMs(),
          memory: signalMemory(place.replay, name),
          observer: signalObserver(name, lasting, audit, loaded.configuration.log.refusals),
          streams: stream && streamEvents(name, lasting.log.logger, stream.verify_every > 0),
        });
        return [name, intake];
      }),
    );
  }

  /** Resolves once each key set was fetched or has failed once. */
  async start(): Promise<void> {
    if (!this.#isOneLook) await this.#keySets.start();
  }

  /** @param successor whose key sets go on */
  stop(successor?: Transmitters): void {
    this.#keySets.stop(successor ? successor.#keySets : undefined);
  }
}

/** No issuer has a colon in its name. `createdBy` of its revocations is the same. */
export function signalSource(name: string): string {
  return `signal:${name}`;
}

/** Where a transmitter pushes to; undefined where it does not. */
export function pushPlace(name: string, { push }: TransmitterConfiguration): EndpointPlace | undefined {
  if (!push) return undefined;
  const purpose = `the endpoint for security events of transmitter ${name}: the token in the body decides`;
  return { host: push.host, path: push.path, issuerName: name, purpose, notPosted: SIGNAL_NOT_POSTED };
}

function targetRules(
  { for: names, subjects, ends }: TransmitterConfiguration,
  issuers: readonly RevocableIssuer[],
): TargetRules {
  const { issuers: issuerNames, ...named } = subjects;
  return { issuers: issuers.filter(({ name }) => names.includes(name)), issuerNames, names: named, ends };
}
