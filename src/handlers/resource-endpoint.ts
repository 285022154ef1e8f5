/**
 * Serves the metadata of protected resources (RFC 9728 section 3) before any route: by host and path of the resource, without a
 * token. The well-known path and all below it are the gateway's own wherever there is a resource at all. RFC 9110 sections
 * 8.8.3 and 13.1.2. Rules P1, P2, C10, C22.
 */
import { hash } from 'node:crypto';
import { BAD_PATH, METADATA_NOT_READ, NO_METADATA } from '../errors.ts';
import { fieldValues } from '../http/field-list.ts';
import { hasMetadataReading, isMetadataPath, metadataPathOf } from '../http/metadata-url.ts';
import type { PublicUrl } from '../http/public-url.ts';
import type { RequestHead } from '../http/request-head.ts';
import { isKnown } from './keys-endpoint.ts';

export interface ResourceDocument {
  readonly url: PublicUrl;
  /** Returns the document as it is now; its signature is renewed from time to time. */
  readonly text: () => string;
}

/** Status, fields and body. */
type OwnResponse = [status: number, headers: readonly string[], body: string];

/** What the gateway serves of a request for metadata. */
export type AskedMetadata = ResourceDocument | 'preflight';

/** How long caches may keep a document: a change of the configuration is to reach clients soon. */
export const METADATA_MAX_AGE_SECONDS = 60;

/** Any page may read what is public; nothing of it depends on who asks. */
const ANY_ORIGIN = ['access-control-allow-origin', '*'];
/** `*` stands for every field but Authorization (Fetch Standard, section 3.2). */
const PREFLIGHT = [
  ...ANY_ORIGIN,
  ...['access-control-allow-methods', 'GET, HEAD'],
  ...['access-control-allow-headers', '*, Authorization'],
  ...['access-control-max-age', '7200'],
  ...['allow', 'GET, HEAD, OPTIONS'],
];

export class ResourceEndpoint {
  /** By host name and path: the ports may differ. */
  readonly #documents: ReadonlyMap<string, readonly ResourceDocument[]>;

  constructor(documents: readonly ResourceDocument[]) {
    this.#documents = Map.groupBy(documents, ({ url }) => placeOf(url.hostname, metadataPathOf(url)));
  }

  /**
   * Does the request ask for metadata? What a query says makes no difference.
   *
   * @returns undefined: it does not, and goes on to the routes
   * @throws GatewayError 400 BAD_PATH where a server may read its path as the well-known one (rule C10), 404, 405
   */
  asked(head: Pick<RequestHead, 'method' | 'path' | 'hostname' | 'authority'>): AskedMetadata | undefined {
    const { method, path } = head;
    if (!isMetadataPath(path)) {
      if (hasMetadataReading(path)) throw BAD_PATH;
      return undefined;
    }
    // Also where there is no document: else a browser would hide from its script that there is none.
    if (method === 'OPTIONS') return 'preflight';
    const document = this.#documentOf(head);
    if (!document) throw NO_METADATA;
    if (method !== 'GET' && method !== 'HEAD') throw METADATA_NOT_READ;
    return document;
  }

  #documentOf({ path, hostname, authority }: Pick<RequestHead, 'path' | 'hostname' | 'authority'>) {
    const documents = this.#documents.get(placeOf(hostname, path.replace(/\/$/, ''))) ?? [];
    const [only, second] = documents;
    // A proxy in front may change the port, so it counts only where two resources differ in nothing else.
    return second === undefined ? only : documents.find(({ url }) => url.authority === authority);
  }
}

function placeOf(hostname: string, path: string): string {
  return `${hostname}${path}`;
}

/** 200, 304 where the client has the document already, 204 for a preflight request. */
export function metadataResponse(
  asked: AskedMetadata,
  { rawHeaders }: Pick<RequestHead, 'rawHeaders'>,
): OwnResponse {
  if (asked === 'preflight') return [204, PREFLIGHT, ''];
  const body = asked.text();
  const tag = `"${hash('sha256', body, 'base64url')}"`;
  const fields = [...ANY_ORIGIN, 'etag', tag, 'cache-control', `public, max-age=${METADATA_MAX_AGE_SECONDS}`];
  return isKnown(tag, fieldValues(rawHeaders, 'if-none-match'))
    ? [304, fields, '']
    : [200, ['content-type', 'application/json', ...fields], body];
}
