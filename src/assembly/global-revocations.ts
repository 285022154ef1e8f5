/** Where issuers send global token revocations, and what is counted and logged of them. */
import type { Clock } from '../clock.ts';
import { placeOfUrl } from '../config/global-revocation-schema.ts';
import type { IssuerConfiguration } from '../config/schema.ts';
import { GLOBAL_REVOCATION_NOT_POSTED } from '../errors.ts';
import type {
  GlobalRevocationObserver,
  GlobalRevocationReceiver,
} from '../handlers/global-revocation-endpoint.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Refusal } from '../telemetry/refusal-lines.ts';
import { GlobalRevocationVerifier } from '../token/global-revocation-verifier.ts';
import type { JwtVerifier } from '../token/jwt-verifier.ts';
import type { EmailTarget } from '../token/revoked-subject.ts';

/**
 * Undefined where the configuration names no endpoint for it.
 *
 * @param verifiers by the name of their issuer: what the JWTs are signed with
 */
export function globalRevocationReceiver(
  { global_token_revocation: revocation, claim_names }: IssuerConfiguration,
  own: Pick<JwtVerifier, 'policy'>,
  verifiers: ReadonlyMap<string, Pick<JwtVerifier, 'policy' | 'keys'>>,
  clock: Clock,
): GlobalRevocationReceiver | undefined {
  const place = revocation && placeOfUrl(revocation.url);
  if (!revocation || !place) return undefined;
  const { url, callers, email_claim: path, signed_by } = revocation;
  const { issuerName, issuer } = own.policy;
  const signer = verifiers.get(signed_by ?? issuerName);
  if (!signer) return undefined;
  const purpose = `the global token revocation endpoint of issuer ${issuerName}: the JWT in Authorization and the sub_id in the body decide`;
  return {
    place: { ...place, issuerName, purpose, notPosted: GLOBAL_REVOCATION_NOT_POSTED },
    subjectsOf: signed_by === undefined ? undefined : issuer,
    email: path === undefined ? undefined : emailTarget(path, claim_names.subject),
    verifier: new GlobalRevocationVerifier({ ...signer.policy, url, callers }, signer.keys, clock),
  };
}

/** `sub` counts as a subject beside the issuer's own claim for it. */
function emailTarget(path: string, subject: string | null): EmailTarget {
  return path === 'sub' || path === subject ? { kind: 'subject' } : { kind: 'claim', path };
}

/**
 * @param admits whether a refusal may have a line: anyone can send requests that are refused
 * @param endpoints counted from zero on, so that the first revocation is an increase
 */
export function globalRevocationObserver(
  metrics: Metrics,
  logger: Logger,
  admits: (refusal: Refusal) => boolean,
  endpoints: readonly { readonly issuerName: string }[],
): GlobalRevocationObserver {
  for (const { issuerName } of endpoints) metrics.globalRevocations.child(issuerName, 'accepted');
  return {
    accepted: (issuer) => {
      metrics.globalRevocations.child(issuer, 'accepted').value++;
    },
    refused: (issuer, reason, from) => {
      metrics.globalRevocations.child(issuer, reason).value++;
      if (admits({ route: `global revocation endpoint of ${issuer}`, reason, level: 'warn' }))
        logger.warn({ issuer, reason, client_ip: from }, 'a global token revocation was refused');
    },
  };
}
