/**
 * Where an issuer's keys are and how they are fetched: a URL, or discovery by OpenID Connect Discovery 1.0
 * section 4 and RFC 8414 section 3, with the issuer check of both. Rules K4, J11.
 */
import { isJson } from '../http/media-type.ts';
import { type AuthorizationServerClient } from './authorization-server-client.ts';
import { issuerDifferences } from './issuer-spelling.ts';
import { isIssuerTemplate, IssuerTemplate } from './issuer-template.ts';
import { parseKeySetJson } from './strict-json.ts';

/** In the place of the tenant: where Entra ID keeps the metadata of all of them. */
const ALL_TENANTS = 'common';
const FETCH_TIMEOUT_MS = 5_000;
/** What a server says of itself is shown in the log up to here. */
const SHOWN_CHARACTERS = 300;

/** Fetches the JWK Set behind a URL. */
export async function fetchKeySet(client: AuthorizationServerClient, url: string): Promise<unknown> {
  const { status, contentType, body } = await client.send({ url, timeoutMs: FETCH_TIMEOUT_MS });
  // Some servers send key sets as text/plain; what counts is that it is one.
  if (status !== 200) throw new Error(`${shown(url)} responded ${responseText(status, contentType)}`);
  return parsed(url, body);
}

/**
 * Finds the key set of an issuer and fetches it. Of many tenants it is one set for all: the metadata is that of `common`,
 * and must name the template itself. The metadata of one tenant, with that tenant as its issuer, does not speak for others.
 *
 * @param issuer the exact `iss`, or a template
 * @param mayUse decides on the URL that the metadata names (https, or loopback, or `allow_http`)
 * @param urlsOf where the metadata may be
 */
export async function discoverKeySet(
  client: AuthorizationServerClient,
  issuer: string,
  mayUse: (url: string) => boolean,
  urlsOf: MetadataUrls = authorizationServerUrls,
): Promise<unknown> {
  const template = isIssuerTemplate(issuer) ? new IssuerTemplate(issuer, undefined) : undefined;
  const urls = urlsOf(template?.issuerOf(ALL_TENANTS) ?? issuer);
  const { url: source, metadata } = await fetchMetadata(client, urls);
  const { issuer: named } = metadata;
  const isSame = template ? typeof named === 'string' && template.isNamedBy(named) : named === issuer;
  if (!isSame) throw new Error(otherIssuerText(source, metadata['issuer'], issuer));
  const url = metadata['jwks_uri'];
  if (typeof url !== 'string' || !URL.canParse(url))
    throw new Error(`the metadata at ${shown(source)} has no jwks_uri`);
  if (!mayUse(url)) throw new Error(`the jwks_uri ${shown(url)} is neither https nor loopback`);
  try {
    return await fetchKeySet(client, url);
  } catch (error) {
    throw client.withholdsFrom(url) ? withheld(url, error) : error;
  }
}

/** Kubernetes names an address of its own in its metadata, and wants a token there. */
function withheld(url: string, cause: unknown): Error {
  return new Error(
    `the metadata names the key set ${shown(url)} on another server than those of the configuration, which got neither the client certificate nor the token of http; if it is yours, add jwks_url: ${shown(url)}`,
    { cause },
  );
}

/** Where the metadata of an issuer may be, in the order in which they are tried. */
export type MetadataUrls = (issuer: string) => readonly string[];

interface Metadata {
  readonly url: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** The first address that responds with metadata. The error names both, and what each said. */
async function fetchMetadata(client: AuthorizationServerClient, urls: readonly string[]): Promise<Metadata> {
  const problems: string[] = [];
  for (const url of urls) {
    try {
      const { status, contentType, body } = await client.send({ url, timeoutMs: FETCH_TIMEOUT_MS });
      if (status === 200 && isJson(contentType)) {
        const metadata = parsed(url, body);
        if (typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata))
          return { url, metadata: metadata as Metadata['metadata'] };
        problems.push(`${shown(url)} responded with JSON that is not an object`);
      } else {
        problems.push(`${shown(url)} responded ${responseText(status, contentType)}`);
      }
    } catch (error) {
      problems.push(`${shown(url)}: ${failureText(error)}`);
    }
  }
  throw new Error(`no metadata: ${problems.join('; ')}`);
}

/** OpenID Connect appends the well-known path to the issuer; RFC 8414 puts it between host and path. */
const authorizationServerUrls: MetadataUrls = (issuer) => {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
};

/** OpenID SSF 1.0 section 7.2: between host and path. Some transmitters append it, and those of RISC have another word. */
export const transmitterUrls: MetadataUrls = (issuer) => {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}/.well-known/ssf-configuration${path}`,
    ...(path === '' ? [] : [`${origin}${path}/.well-known/ssf-configuration`]),
    `${origin}/.well-known/risc-configuration${path}`,
  ];
};

/** Another issuer's keys must not verify this one's tokens; mostly it is one issuer, spelt in two ways. */
function otherIssuerText(url: string, found: unknown, issuer: string): string {
  const text = typeof found === 'string' ? JSON.stringify(found.slice(0, SHOWN_CHARACTERS)) : 'no issuer';
  const differences = typeof found === 'string' ? issuerDifferences(found, issuer) : undefined;
  const why = differences === undefined ? '' : `; only ${differences} differs`;
  return `the metadata at ${shown(url)} names ${text}, not ${JSON.stringify(issuer)} (RFC 8414 section 3.3)${why}`;
}

function parsed(url: string, body: Buffer): unknown {
  try {
    return parseKeySetJson(body);
  } catch {
    throw new Error(`the response of ${shown(url)} is not strict JSON`);
  }
}

/** Why there was no response: what our own caps say, the code of the system, or what a proxy said. */
function failureText(error: unknown): string {
  if (!(error instanceof Error)) return 'no response';
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined) return `${code}: ${error.message}`;
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

/** Of a URL for a log: its query may hold a key. */
function shown(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`.slice(0, SHOWN_CHARACTERS);
}

function responseText(status: number, contentType: string): string {
  return `${status} ${contentType === '' ? 'without a content type' : contentType.slice(0, SHOWN_CHARACTERS)}`;
}
