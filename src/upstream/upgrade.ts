/**
 * Forwards a WebSocket handshake over a connection of its own, through Node's client: the connection goes over to
 * whatever is spoken next. Rules H12, C13, C14.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { endToEndHeaders } from '../http/answer-head.ts';
import { upstreamBroken, upstreamTimeout } from '../errors.ts';
import { BEARER_PROTOCOL } from '../http/websocket-protocol.ts';
import type { OutboundRequest } from '../stages/rewrite-headers.ts';
import type { Forwarding, UpgradeSink } from './forwarder.ts';
import type { TargetHealth } from './target-health.ts';
import type { TlsClient } from '../tls-client.ts';
import { upstreamFailure } from './upstream-errors.ts';

/** Where a handshake goes to. */
interface UpgradeTarget {
  readonly origin: string;
  readonly connectTimeoutMs: number;
  readonly tls: TlsClient;
  readonly health: TargetHealth;
}

export function forwardUpgrade(
  outbound: OutboundRequest,
  { origin, connectTimeoutMs, tls, health }: UpgradeTarget,
  sink: UpgradeSink,
): Forwarding {
  const url = new URL(origin);
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(origin, {
    ...tls,
    method: outbound.method,
    path: outbound.target,
    agent: false,
    setDefaultHeaders: false,
    headers: [
      'Host',
      outbound.host ?? url.host,
      ...outbound.headers,
      'Connection',
      'Upgrade',
      'Upgrade',
      outbound.upgrade ?? '',
    ],
  });
  let answer: IncomingMessage | undefined;
  let settled = false;
  const fail = (error: unknown): void => {
    if (settled) return;
    settled = true;
    health.failed();
    sink.fail(upstreamFailure(error));
  };
  const timer = setTimeout(
    () => request.destroy(upstreamTimeout()),
    connectTimeoutMs + outbound.route.responseTimeoutMs,
  );
  request.on('error', (error) => {
    clearTimeout(timer);
    fail(error);
  });
  request.on('upgrade', (response, socket, early) => {
    clearTimeout(timer);
    if (settled || response.headers.upgrade?.toLowerCase() !== outbound.upgrade) {
      socket.destroy();
      fail(upstreamBroken());
      return;
    }
    settled = true;
    health.answered();
    sink.tunnel(switchingHeaders(response, outbound), socket, early);
  });
  request.on('response', (response) => {
    clearTimeout(timer);
    answer = response;
    health.answered();
    sink.begin(response.statusCode ?? 502, endToEndHeaders(response.rawHeaders));
    response.on('data', (chunk: Buffer) => {
      if (!sink.data(chunk)) response.pause();
      sink.received();
    });
    response.on('end', () => {
      settled = true;
      sink.end(endToEndHeaders(response.rawTrailers));
    });
    response.on('error', fail);
  });
  request.end();
  return {
    abort() {
      settled = true;
      clearTimeout(timer);
      request.destroy();
    },
    pause: () => answer?.pause(),
    resume: () => answer?.resume(),
  };
}

/** A browser that offered protocols gives up unless the answer chooses one: `bearer`, where the upstream chose none. */
function switchingHeaders(
  { rawHeaders, headers }: IncomingMessage,
  { offersBearer }: OutboundRequest,
): string[] {
  return offersBearer && headers['sec-websocket-protocol'] === undefined
    ? [...rawHeaders, 'Sec-WebSocket-Protocol', BEARER_PROTOCOL]
    : rawHeaders;
}
