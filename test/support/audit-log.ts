/** Audit lines as gateways write them, with checkpoints, and what someone who can write to the file might do to them. */
import { generateKeyPairSync } from 'node:crypto';
import { Checkpoints } from '../../src/assembly/checkpoints.ts';
import type { LoadedConfiguration } from '../../src/config/load.ts';
import { ProofSigner } from '../../src/identity/proof-jws.ts';
import { signingKeyOfPem } from '../../src/identity/signing-key.ts';
import { hashOf, type ChainLink } from '../../src/telemetry/audit-chain.ts';
import { createLog } from '../../src/telemetry/logger.ts';
import { ManualClock } from './manual-clock.ts';

export function proofPem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

export const newSigner = (): ProofSigner => new ProofSigner(signingKeyOfPem(proofPem()));

/** One process, which writes into `lines`. */
export interface AuditedProcess {
  /** Writes an audit line. */
  audit(reason?: string): void;
  /** A minute passes. */
  minute(): void;
  /** Another configuration is in place. */
  use(signer: ProofSigner | undefined): void;
  stop(): void;
}

const loadedAs = (name: string): LoadedConfiguration =>
  ({ configuration: { name, proof: { checkpoint_every: 60_000 } } }) as unknown as LoadedConfiguration;

/** @param signer undefined: no checkpoints */
export function auditedProcess(lines: string[], signer?: ProofSigner, name = 'edge'): AuditedProcess {
  const clock = new ManualClock();
  const log = createLog({ write: (line) => void lines.push(line.slice(0, -1)) });
  const checkpoints = new Checkpoints(log, clock);
  const use = (proof: ProofSigner | undefined): void => checkpoints.use({ loaded: loadedAs(name), proof });
  use(signer);
  let count = 0;
  return {
    audit: (reason = `reason ${++count}`) =>
      log.audit.info(
        {
          audit: {
            action: 'revoke',
            by: 'admin',
            from: '127.0.0.1',
            issued_before: 17.5,
            changed: true,
            reason,
          },
        },
        'audit',
      ),
    minute: () => clock.advance(60_000),
    use,
    stop: () => checkpoints.close(),
  };
}

export type Line = Record<string, unknown> & { chain: ChainLink };

export const parsed = (text: string): Line => JSON.parse(text) as Line;

/** Makes all hashes of these lines again, from the first one on: what everyone can do who can write the file. */
export function chainedAgain(lines: readonly string[]): string[] {
  let prior: ChainLink | undefined;
  return lines.map((text) => {
    const { chain, ...line } = parsed(text);
    const link = prior
      ? { id: chain.id, seq: prior.seq + 1, prev: prior.hash }
      : { id: chain.id, seq: chain.seq, prev: chain.prev };
    prior = { ...link, hash: hashOf(line as Parameters<typeof hashOf>[0], link) };
    return JSON.stringify({ ...line, chain: prior });
  });
}
