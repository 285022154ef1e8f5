/** Node's answer, which can also say what comes before an answer, and break off. RFC 9110 section 15.2. Rules H11, H15. */
import { ServerResponse, STATUS_CODES } from 'node:http';
import { fieldLines } from '../http/field-list.ts';
import type { ClientResponse } from './exchange.ts';
import type { Http1Request } from './http1-request.ts';

export class Http1Response extends ServerResponse<Http1Request> implements ClientResponse {
  writeInformational(status: number, headers: readonly string[]): void {
    // Without a socket it stands in line behind another answer, and may do without.
    if (this.headersSent || !this.socket) return;
    const statusLine = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
    this.socket.write(`${statusLine}${fieldLines(headers)}\r\n`, 'latin1');
  }

  override destroy(error?: Error): this {
    const { socket } = this;
    // To HTTP/1.0 the end of the connection is the end of the answer, unless it is a reset. TLS has its own end.
    if (this.req.httpVersion === '1.0' && this.headersSent && socket && !('encrypted' in socket))
      socket.resetAndDestroy();
    return super.destroy(error);
  }
}
