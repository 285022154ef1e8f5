/** What the stage that asks for proof of possession saw, in words: what a token is bound to, and what the request showed. */
import type { GatewayError } from '../errors.ts';
import type { Configuration } from '../config/schema.ts';
import type { Route } from '../policy.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';
import { proofFaults } from './describe-proof.ts';
import { bindingText } from './describe-token.ts';
import type { DryProofs } from './dry-proofs.ts';

/** What the imagined request came with. */
export interface ShownPossession {
  readonly dpop: Configuration['dpop'];
  /** Undefined where no route accepts proofs. */
  readonly proofs: DryProofs | undefined;
  /** A DPoP proof was given. */
  readonly hasProof: boolean;
  /** The thumbprint of the client's certificate; null: the header of a proxy cannot be read. */
  readonly certificate: string | null | undefined;
}

/** The holder has shown all that the token asks for. */
export function possessedText(token: AuthenticToken | undefined, { hasProof }: ShownPossession): string {
  const binding = token?.binding;
  if (!binding) {
    const ignored = hasProof ? '; its DPoP proof is not looked at' : '';
    return `it is bound to nothing, so that all who have it may use it${ignored}`;
  }
  const spent = binding.keyThumbprint === undefined ? '' : '; whether the proof was used before is not asked';
  return `its holder has ${bindingText(binding)}${spent}`;
}

/** What is missing, or what is wrong with what was shown. */
export function notPossessedText(
  error: GatewayError,
  token: AuthenticToken | undefined,
  route: Route | undefined,
  shown: ShownPossession,
): string {
  const why = error.detail ?? error.title;
  if (error.reason === 'proof') return `${why}${proofText(error, shown)}`;
  if (error.reason !== 'binding' || !token?.binding) return why;
  const { keyThumbprint, certificateThumbprint } = token.binding;
  if (certificateThumbprint !== undefined && certificateThumbprint !== shown.certificate)
    return certificateText(certificateThumbprint, shown.certificate);
  if (keyThumbprint === undefined) return why;
  return route?.senderConstrained === undefined
    ? `it is bound to the key ${keyThumbprint}, and the route accepts no DPoP proofs (auth.sender_constrained is not set)`
    : `it is bound to the key ${keyThumbprint}, and the request has no DPoP proof: give one (--dpop-file F)`;
}

function certificateText(bound: string, shown: string | null | undefined): string {
  const had =
    shown === undefined
      ? 'the request comes without one: give it (--client-cert-file F)'
      : shown === null
        ? 'Client-Cert of the request cannot be read'
        : `the request comes with ${shown}`;
  return `it is bound to the certificate ${bound}, and ${had}`;
}

function proofText({ challenge }: GatewayError, { proofs, dpop }: ShownPossession): string {
  const asked = proofs?.asked;
  const [line, second] = asked?.lines ?? [];
  if (!proofs || !asked || line === undefined || second !== undefined) return '';
  const { request, nowMs } = asked;
  const nonce = challenge?.error === 'use_dpop_nonce' ? proofs.nonce(nowMs) : undefined;
  const faults = proofFaults(line, { request, dpop, nonce, nowMs });
  return faults.length === 0 ? '' : `: ${faults.join('; ')}`;
}
