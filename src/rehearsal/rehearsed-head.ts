/** The head of a logged request, read again by the gateway's own rules, with what else it may have had. Pure. */
import type { FieldList } from '../http/field-list.ts';
import { readHead, type RequestHead } from '../http/request-head.ts';
import type { Policy } from '../policy.ts';
import type { LoggedRequest } from './logged-request.ts';

export interface HeadExtras {
  /** Names and values in turn. */
  readonly fields: FieldList;
  /** It asks to switch to WebSocket. */
  readonly handshake?: boolean;
}

const HANDSHAKE = ['upgrade', 'websocket', 'connection', 'upgrade'];

/** @throws GatewayError as readHead */
export function rehearsedHead(
  { method, target }: LoggedRequest,
  { headerTable, headLimits }: Policy,
  { fields, handshake = false }: HeadExtras,
): RequestHead {
  const { scheme = 'http', host = '', path = '' } = target ?? {};
  const rawHeaders = ['host', host, ...fields, ...(handshake ? HANDSHAKE : [])];
  return readHead(
    {
      ...{ method, target: path, httpVersion: '1.1', rawHeaders, scheme },
      ...{ bodyFollows: false, wantsTunnel: handshake },
    },
    headerTable,
    headLimits,
  );
}
