/** What is allowed in an issuer with a `provider`, but risky. Pure. Rules J18, J19. */
import { unmatchable } from './provider-mismatches.ts';
import { takenOut, type Provider } from './provider-presets.ts';
import type { IssuerConfiguration } from './schema.ts';

/** One line for each risk: what it is, what to do. */
export function providerWarnings(name: string, issuer: IssuerConfiguration): string[] {
  const { provider, audiences = [] } = issuer;
  if (provider === undefined) return [];
  const isShared = SHARED_AUDIENCES[provider];
  return [
    ...unmatchable(provider, issuer).map((what) => `issuers.${name}: ${what}`),
    ...takenOut(provider, issuer).map(
      (what) =>
        `issuers.${name}: provider: ${provider} tells its access tokens from its other tokens by ${what}, which your keys take out; leave it in`,
    ),
    ...audiences
      .filter((audience) => isShared?.test(audience))
      .map(
        (audience) =>
          `issuers.${name}: audiences: ${audience} is in tokens of ${provider} that are for no service of yours; give your API an audience of its own`,
      ),
  ];
}

/** What providers put into the tokens of all clients, or of all pods, unasked. */
const SHARED_AUDIENCES: Partial<Readonly<Record<Provider, RegExp>>> = {
  keycloak: /^account$/,
  auth0: /\/userinfo$/,
  duende: /\/resources$/,
  kubernetes: /^(?:https:\/\/)?kubernetes\.default\b/,
};
