/** The head of a request as it goes out to an upstream. Pure. RFC 9112 sections 3 and 6. Rules H10, H13. */
import { fieldLines } from '../http/field-list.ts';
import type { UpstreamRequest } from './upstream-link.ts';

/** Methods whose requests usually have a body: without one, they say so (RFC 9110 section 8.6). */
const WITH_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/**
 * Writes the request line and the fields: the same bytes that the decision was made on (rule H13).
 *
 * @returns latin1, with the empty line at the end
 */
export function writeRequestHead(outbound: UpstreamRequest['outbound'], host: string): string {
  const { method, target, headers, upgrade } = outbound;
  const switching = upgrade === undefined ? '' : `connection: Upgrade\r\nupgrade: ${upgrade}\r\n`;
  return `${method} ${target} HTTP/1.1\r\nhost: ${host}\r\n${framing(outbound)}${switching}${fieldLines(headers)}\r\n`;
}

/** RFC 9112 section 6: one framing, and none where there is no body. */
function framing({ method, hasBody, contentLength }: UpstreamRequest['outbound']): string {
  if (contentLength !== undefined) return `content-length: ${contentLength}\r\n`;
  if (hasBody) return 'transfer-encoding: chunked\r\n';
  return WITH_BODY.has(method) ? 'content-length: 0\r\n' : '';
}
