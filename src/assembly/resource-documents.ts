/** The documents of the protected resources of a configuration, made once for each generation. */
import type { Clock } from '../clock.ts';
import { protectedResources, type ProtectedResource } from '../config/protected-resources.ts';
import { isSigned, resourceMetadata } from '../config/resource-metadata.ts';
import type { Configuration } from '../config/schema.ts';
import { ResourceEndpoint } from '../handlers/resource-endpoint.ts';
import type { JwtAssertionSigner } from '../identity/assertion-jwt.ts';

/** Undefined where there is no protected resource. */
export function resourceEndpoint(
  configuration: Configuration,
  signer: JwtAssertionSigner | undefined,
  clock: Clock,
): ResourceEndpoint | undefined {
  const resources = protectedResources(configuration);
  return resources.length === 0
    ? undefined
    : new ResourceEndpoint(
        resources.map((resource) => ({
          url: resource.url,
          text: documentOf(resource, configuration, signer, clock),
        })),
      );
}

/** Nothing of it changes but the signature, which is made when a request asks for it, and again before it expires. */
function documentOf(
  resource: ProtectedResource,
  configuration: Configuration,
  signer: JwtAssertionSigner | undefined,
  clock: Clock,
): () => string {
  const metadata = resourceMetadata(resource, configuration);
  let text = JSON.stringify(metadata);
  if (!signer || !isSigned(resource)) return () => text;
  let renewAtMs = -Infinity;
  return () => {
    if (clock.nowMs() >= renewAtMs) {
      const signed = signer.signMetadata(resource.url.href, metadata);
      text = JSON.stringify({ ...metadata, signed_metadata: signed.jwt });
      renewAtMs = signed.renewAtMs;
    }
    return text;
  };
}
