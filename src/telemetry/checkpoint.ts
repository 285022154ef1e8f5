/**
 * What a checkpoint of the audit log says: how far a chain was, and what its last hash was. Signed, it keeps others from making
 * the lines before it again. Pure.
 */
import { readProof, verifyProof } from '../identity/proof-jws.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../token/claims.ts';
import type { VerificationKey } from '../token/verification-key.ts';
import type { ChainHead } from './audit-chain.ts';

const TYP = 'audit-checkpoint+jwt';

/** As many lines make one, however fast they come: what an attacker can still change stays little. */
export const MAX_UNSIGNED_LINES = 1_000;

export interface Checkpoint extends ChainHead {
  /** The chain ends with it: the process stopped in good order. */
  readonly closed: boolean;
  /** The gateway's name. */
  readonly gateway: string;
  readonly version: string;
  /** In seconds since 1970. */
  readonly at: number;
  /** After so many seconds, at most, a line that follows gets the next one. */
  readonly every: number;
}

/** As claims of a JWT (RFC 7519). */
export function checkpointClaims({ id, gateway, at, ...more }: Checkpoint): JsonObject {
  return { iss: gateway, iat: at, chain: id, ...more };
}

/** @returns undefined where the claims are not those of a checkpoint */
function checkpointOf(claims: JsonObject): Checkpoint | undefined {
  const { iss: gateway, iat: at, chain: id, seq, hash, closed, version, every } = claims;
  const fits =
    [gateway, id, hash, version].every((text) => typeof text === 'string') &&
    [at, seq].every((number) => Number.isSafeInteger(number)) &&
    typeof closed === 'boolean' &&
    typeof every === 'number';
  return fits ? ({ id, seq, hash, closed, gateway, version, at, every } as unknown as Checkpoint) : undefined;
}

/** A JWS as an object (RFC 7515 section 7.2.2): what takes tokens out of logs looks for the compact form. */
export function flattened(jws: string): object {
  const [header, payload, signature] = jws.split('.');
  return { payload, protected: header, signature };
}

/** Why a text is no checkpoint that counts. */
export interface CheckpointFault {
  readonly kind: 'bad_checkpoint' | 'unknown_key' | 'bad_signature';
  /** What is wrong with it, for people. */
  readonly what: string;
}

/**
 * Reads a flattened JWS.
 *
 * @param keys that it is verified with; undefined: it is not
 */
export function readCheckpoint(
  jws: JsonValue | undefined,
  keys: readonly VerificationKey[] | undefined,
): Checkpoint | CheckpointFault {
  const text = compactOf(jws);
  const none: CheckpointFault = { kind: 'bad_checkpoint', what: 'is no signed checkpoint' };
  if (text === undefined) return none;
  const read = keys ? verifyProof(text, TYP, keys) : readProof(text, TYP);
  if (!('fault' in read)) return checkpointOf(read.claims) ?? none;
  if (read.fault === 'unknown_key')
    return { kind: read.fault, what: `is signed by an unknown key (kid ${JSON.stringify(read.keyId)})` };
  return read.fault === 'bad_signature'
    ? { kind: read.fault, what: 'has a bad signature: it was changed' }
    : none;
}

/** In its compact form; undefined where it is none. */
function compactOf(jws: JsonValue | undefined): string | undefined {
  if (!isJsonObject(jws)) return undefined;
  const parts = [jws['protected'], jws['payload'], jws['signature']];
  return parts.every((part) => typeof part === 'string') ? parts.join('.') : undefined;
}
