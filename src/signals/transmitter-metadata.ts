/** What a transmitter says of itself. Pure. OpenID SSF 1.0 section 7.1. */
import { isJsonObject, stringClaim, type JsonObject, type JsonValue } from '../token/claims.ts';

export interface TransmitterMetadata {
  readonly configurationEndpoint: string | undefined;
  readonly statusEndpoint: string | undefined;
  readonly verificationEndpoint: string | undefined;
}

/** @throws Error where it is not the metadata of this issuer: then nothing of it may be used */
export function readMetadata(document: JsonValue | undefined, issuer: string): TransmitterMetadata {
  if (!isJsonObject(document)) throw new Error('the metadata of the transmitter is no JSON object');
  if (stringClaim(document, 'issuer') !== issuer)
    throw new Error('the metadata of the transmitter names another issuer than the configuration');
  return {
    configurationEndpoint: urlOf(document, 'configuration_endpoint'),
    statusEndpoint: urlOf(document, 'status_endpoint'),
    verificationEndpoint: urlOf(document, 'verification_endpoint'),
  };
}

function urlOf(document: JsonObject, name: string): string | undefined {
  const url = stringClaim(document, name);
  if (url !== undefined && !URL.canParse(url)) throw new Error(`the ${name} of the transmitter is no URL`);
  return url;
}
