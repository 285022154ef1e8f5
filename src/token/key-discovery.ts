/**
 * Where an issuer's keys are and how they are fetched: a URL, or discovery by OpenID Connect Discovery 1.0
 * section 4 and RFC 8414 section 3, with the issuer check of both. Rules K4, J11.
 */
import { isJson } from '../http/media-type.ts';
import { type AuthorityClient } from './authority-fetch.ts';
import { parseStrictJson } from './strict-json.ts';

const FETCH_TIMEOUT_MS = 5_000;

/** Fetches the JWK Set behind a URL. */
export async function fetchKeySet(client: AuthorityClient, url: string): Promise<unknown> {
  const { status, body } = await client.send({ url, timeoutMs: FETCH_TIMEOUT_MS });
  // Some servers send key sets as text/plain; what counts is that it is one.
  if (status !== 200) throw new Error(`the key set answered ${status}`);
  return parseStrictJson(body);
}

/**
 * Finds the key set of an issuer and fetches it.
 *
 * @param mayUse decides on the URL that the metadata names (https, or loopback, or `allow_http`)
 */
export async function discoverKeySet(
  client: AuthorityClient,
  issuer: string,
  mayUse: (url: string) => boolean,
): Promise<unknown> {
  const metadata = await fetchMetadata(client, issuer);
  if (metadata['issuer'] !== issuer)
    throw new Error('the metadata is of another issuer (RFC 8414 section 3.3)');
  const url = metadata['jwks_uri'];
  if (typeof url !== 'string' || !URL.canParse(url)) throw new Error('the metadata has no jwks_uri');
  if (!mayUse(url)) throw new Error('the jwks_uri is neither https nor loopback');
  return fetchKeySet(client, url);
}

async function fetchMetadata(
  client: AuthorityClient,
  issuer: string,
): Promise<Readonly<Record<string, unknown>>> {
  let problem = 'no metadata';
  for (const url of metadataUrls(issuer)) {
    const { status, contentType, body } = await client.send({ url, timeoutMs: FETCH_TIMEOUT_MS });
    if (status === 200 && isJson(contentType))
      return parseStrictJson(body) as Readonly<Record<string, unknown>>;
    problem = `the metadata answered ${status} ${contentType}`;
  }
  throw new Error(problem);
}

/** OpenID Connect appends the well-known path to the issuer; RFC 8414 puts it between host and path. */
function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
}
