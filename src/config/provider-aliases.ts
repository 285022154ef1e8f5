/** Other names of the products that a preset is for: what a user may write in `provider`. Pure. */
import type { Provider } from './provider-presets.ts';

const ALIASES: ReadonlyMap<string, Provider> = new Map<string, Provider>([
  ['azure', 'entra'],
  ['aad', 'entra'],
  ['azuread', 'entra'],
  ['entraid', 'entra'],
  ['microsoft', 'entra'],
  ['github', 'github-actions'],
  ['aws', 'cognito'],
  ['eks', 'kubernetes'],
  ['gke', 'kubernetes'],
  ['aks', 'kubernetes'],
  ['k8s', 'kubernetes'],
  ['gcp', 'google'],
  ['identityserver', 'duende'],
  ['ory', 'hydra'],
]);

/** The preset that this name means, without case and signs: `Azure AD` is entra. Undefined for an unknown name. */
export function providerMeantBy(name: string): Provider | undefined {
  return ALIASES.get(name.toLowerCase().replace(/[^a-z0-9]/g, ''));
}
