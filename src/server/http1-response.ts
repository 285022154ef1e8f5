/** Node's ServerResponse with informational (1xx) responses and abort. RFC 9110 section 15.2. Rules H11, H15. */
import { ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { fieldLines } from '../http/field-list.ts';
import type { ClientResponse } from './exchange.ts';
import type { Http1Request } from './http1-request.ts';

export class Http1Response extends ServerResponse<Http1Request> implements ClientResponse {
  readonly tellsWritten = true;

  writeInformational(status: number, headers: readonly string[]): void {
    // Without a socket it waits behind another response; a 1xx response is optional.
    if (this.headersSent || !this.socket) return;
    const statusLine = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
    this.socket.write(`${statusLine}${fieldLines(headers)}\r\n`, 'latin1');
  }

  reset(): void {
    this.destroy();
  }

  override destroy(error?: Error): this {
    const { socket } = this;
    // In HTTP/1.0 the end of the connection is the end of the response, unless it is a reset. TLS has its own end.
    if (this.req.httpVersion === '1.0' && this.headersSent && socket && !('encrypted' in socket))
      socket.resetAndDestroy();
    return super.destroy(error);
  }
}

/** An ordinary response on a socket that Node has handed over, for a request that opens no tunnel. */
export function responseOn(request: Http1Request, socket: Duplex): Http1Response {
  const response = new Http1Response(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Socket);
  // Node passes this on only for sockets that its server still owns.
  socket.on('drain', () => response.emit('drain'));
  response.on('finish', () => {
    response.detachSocket(socket as Socket);
    (socket as Socket).destroySoon();
    response.emit('close');
  });
  return response;
}
