/**
 * Asks for one list (draft-ietf-oauth-status-list, "Status List Request"), with caps on time and size and without redirects
 * (rule K4).
 *
 * The content type is not looked at: what counts is the `typ` of what was signed. Lists in the CWT form are not asked for.
 */
import type { AuthorizationServerClient } from '../token/authorization-server-client.ts';

const FETCH_TIMEOUT_MS = 5_000;
/** Of a list with 64 million bits, some 4 % of them set. To read one of this size keeps the process for some 25 ms. */
export const MAX_RESPONSE_BYTES = 4 * 1024 * 1024;
const MEDIA_TYPE = 'application/statuslist+jwt';
/** What a server says of itself is shown in the log up to here. */
const SHOWN_CHARACTERS = 100;
/** A longer one is not sent back. */
const MAX_ETAG_CHARACTERS = 256;

export interface FetchedText {
  readonly text: string;
  /** The entity tag (RFC 9110 section 8.8.3); undefined where there is none. */
  readonly etag: string | undefined;
}

/**
 * @param etag of what was fetched before; undefined: the whole list is wanted
 * @returns `unchanged` where the server says that it is the same list
 * @throws NoResponse, or Error where a response arrived that is no list
 */
export async function fetchList(
  client: AuthorizationServerClient,
  uri: string,
  etag: string | undefined,
): Promise<FetchedText | 'unchanged'> {
  const response = await client.send({
    url: uri,
    headers: { accept: MEDIA_TYPE, ...(etag !== undefined && { 'if-none-match': etag }) },
    timeoutMs: FETCH_TIMEOUT_MS,
    maxBytes: MAX_RESPONSE_BYTES,
  });
  const { status, contentType, body } = response;
  if (status === 304 && etag !== undefined) return 'unchanged';
  if (status !== 200)
    throw new Error(
      `the server of the list responded ${status} ${contentType.slice(0, SHOWN_CHARACTERS)}`.trim(),
    );
  const isShort = response.etag !== '' && response.etag.length <= MAX_ETAG_CHARACTERS;
  // A line end after the token is that of a file.
  return { text: body.toString('latin1').trim(), etag: isShort ? response.etag : undefined };
}
