/** Issuers and audiences that no token of a provider has: every request would be refused. Pure. Rule J19. */
import type { Provider } from './provider-presets.ts';
import type { IssuerConfiguration } from './schema.ts';

type Values = Pick<IssuerConfiguration, 'issuer' | 'audiences'>;

/** For each of them: the key, why no token has the value, and what to write. */
export function unmatchable(provider: Provider, { issuer = '', audiences = [] }: Values): string[] {
  return [...(ISSUERS[provider]?.(issuer) ?? []), ...(AUDIENCES[provider]?.(issuer, audiences) ?? [])];
}

const when = (isWrong: boolean, text: string): string[] => (isWrong ? [text] : []);

const ISSUERS: Partial<Readonly<Record<Provider, (issuer: string) => string[]>>> = {
  entra: (issuer) => [
    ...when(
      /\/(?:common|organizations|consumers)\/(?:v2\.0\/?)?$/.test(issuer),
      'issuer: no token of entra has common, organizations or consumers in its iss; write /TENANT-ID/v2.0, or /{tenant}/v2.0 with tenants',
    ),
    ...when(
      issuer.endsWith('/v2.0/'),
      'issuer: v2.0 tokens of entra have no slash at the end of iss; take it out',
    ),
    ...when(
      /^https:\/\/sts\.windows\.net\/[^/]+$/.test(issuer),
      'issuer: v1.0 tokens of entra have a slash at the end of iss; add it',
    ),
  ],
  auth0: (issuer) =>
    when(
      issuer !== '' && !issuer.endsWith('/'),
      'issuer: tokens of auth0 have a slash at the end of iss; add it',
    ),
  keycloak: (issuer) =>
    when(issuer.endsWith('/'), 'issuer: tokens of keycloak have no slash at the end of iss; take it out'),
  supabase: (issuer) =>
    when(
      /^https:\/\/[^/]+\.supabase\.co\/?(?:auth\/v1\/)?$/.test(issuer),
      'issuer: the iss of users of supabase ends with /auth/v1; write https://PROJECT.supabase.co/auth/v1',
    ),
};

const AUDIENCES: Partial<
  Readonly<Record<Provider, (issuer: string, audiences: readonly string[]) => string[]>>
> = {
  entra: (issuer, audiences) =>
    audiences
      .filter((audience) => /\/v2\.0\/?$/.test(issuer) && audience.startsWith('api://'))
      .map(
        (audience) =>
          `audiences: ${audience} is in no v2.0 token of entra, whose aud is the client id of the API; write that id`,
      ),
};
