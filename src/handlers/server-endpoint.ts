/**
 * Endpoints on the public listeners that authorization servers and transmitters call: logouts and the like. They stand before
 * all routes. What is sent there is decided by what stands in its body, never by the credentials of a client.
 */
import { addAbortSignal } from 'node:stream';
import { BODY_TOO_LARGE, MALFORMED_REQUEST, REQUEST_TIMEOUT, type GatewayError } from '../errors.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { ClientRequest } from '../server/exchange.ts';
import { readBody } from '../server/read-body.ts';

/** Where an endpoint is, and what `explain` says of it. */
export interface EndpointPlace {
  /** Lower-case, without port. */
  readonly host: string;
  readonly path: string;
  /** The configured name of the issuer, or transmitter, that calls it. */
  readonly issuerName: string;
  /** What it is and what decides there: a part of a sentence. */
  readonly purpose: string;
  /** The refusal of every method but POST. */
  readonly notPosted: GatewayError;
}

/** What its caller gets. The body is empty where there is none. */
export interface EndpointResponse {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

export interface ServerEndpoint {
  readonly place: EndpointPlace;
  /**
   * @param request its body is not yet read
   * @param from the client's address
   * @throws GatewayError
   */
  receive(request: ClientRequest, from: string): Promise<EndpointResponse>;
}

type Addressed = Pick<RequestHead, 'hostname' | 'path'>;

/** Is this where the request goes? */
export function isAt({ host, path }: Pick<EndpointPlace, 'host' | 'path'>, head: Addressed): boolean {
  return path === head.path && host === head.hostname;
}

/** How long a body may take to arrive. */
const BODY_TIMEOUT_MS = 10_000;

/** @throws GatewayError 400 where the body is incomplete, 408 where it takes too long, 413 */
export async function endpointBody(request: ClientRequest, maxBytes: number): Promise<Buffer> {
  const timeout = AbortSignal.timeout(BODY_TIMEOUT_MS);
  let body: Buffer | undefined;
  try {
    body = await readBody(addAbortSignal(timeout, request.body), maxBytes);
  } catch {
    throw timeout.aborted ? REQUEST_TIMEOUT : MALFORMED_REQUEST;
  }
  if (body === undefined) throw BODY_TOO_LARGE;
  return body;
}
