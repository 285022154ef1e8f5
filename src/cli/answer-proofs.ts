/** `--wait` and `--receipt` of commands that change the revocation list: what they ask of the API, and what they print. */
import { writeFileSync } from 'node:fs';
import type { ConfirmedJson } from '../admin/entry-json.ts';
import { describeError } from '../telemetry/logger.ts';
import { CommandFailed, flag, print, printError, text, type Arguments } from './command.ts';

export const PROOF_OPTIONS = { wait: { type: 'boolean' }, receipt: { type: 'string' } } as const;

export const PROOF_USAGE = `
      --wait                   waits until all gateways have it in force, 5 s at most; exit code 1 where one has not said so
      --receipt F              writes the signed receipt to this file (proof.key_file must be configured)`;

interface Answer {
  readonly confirmed?: ConfirmedJson;
  readonly receipt?: string;
}

/** Of the path: an undo says nothing unless it is asked to wait. */
export function waitQuery(args: Arguments, forReceipt = false): string {
  return flag(args, 'wait') || (forReceipt && text(args, 'receipt') !== undefined) ? '?wait=fleet' : '';
}

/**
 * Writes the receipt, and says which gateways have it in force.
 *
 * @param verb what they do
 * @returns the exit code
 * @throws CommandFailed where the receipt cannot be written; the change stands
 */
export function tellProofs(args: Arguments, { confirmed, receipt }: Answer, verb: string): number {
  const file = text(args, 'receipt');
  if (file !== undefined) saveReceipt(file, receipt);
  if (!flag(args, 'wait') || !confirmed) return 0;
  const { gateways, refuse, slowest_ms: slowest, unconfirmed } = confirmed;
  const words = `${refuse} of ${gateways} ${gateways === 1 ? 'gateway' : 'gateways'} ${verb}, after ${slowest} ms`;
  if (unconfirmed.length === 0) {
    print(words);
    return 0;
  }
  printError(
    `only ${words}; not confirmed by ${unconfirmed.join(', ')}: see whether it runs and reaches the store, or stop it`,
  );
  return 1;
}

function saveReceipt(file: string, receipt: string | undefined): void {
  if (receipt === undefined)
    throw new CommandFailed('it is done, but the gateway gave no receipt: configure proof.key_file');
  try {
    writeFileSync(file, `${receipt}\n`);
  } catch (error) {
    throw new CommandFailed(
      `it is done, but the receipt cannot be written to ${file} (${describeError(error)})`,
    );
  }
}
