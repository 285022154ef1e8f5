/**
 * Receives security event tokens that a transmitter pushes: a POST with one token. RFC 8935. docs/how-to/shared-signals.md.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { SIGNAL_NOT_POSTED } from '../errors.ts';
import { fieldValues } from '../http/field-list.ts';
import { mediaTypeOf } from '../http/media-type.ts';
import type { ClientRequest } from '../server/exchange.ts';
import { SignalRefused, type SignalError, type TakesSignals } from '../signals/signal-verdict.ts';
import {
  endpointBody,
  type EndpointPlace,
  type EndpointResponse,
  type ServerEndpoint,
} from './server-endpoint.ts';

export interface SignalReceiver {
  readonly place: EndpointPlace;
  /** The exact value of Authorization that is expected; undefined: the signature alone decides. */
  readonly authorization: string | undefined;
  readonly intake: TakesSignals;
}

/** A token with 64 aliases is far below. */
const MAX_BODY_BYTES = 64 * 1024;

const NOT_AUTHORIZED = new SignalRefused(
  'authentication_failed',
  'Authorization is missing, or is not the value that is expected here.',
);
const NOT_A_SET = new SignalRefused('invalid_request', 'Content-Type must be application/secevent+jwt.');

export class SignalEndpoint implements ServerEndpoint {
  readonly place: EndpointPlace;
  readonly #receiver: SignalReceiver;
  readonly #expected: Expected | undefined;

  constructor(receiver: SignalReceiver) {
    this.place = receiver.place;
    this.#receiver = receiver;
    this.#expected = receiver.authorization === undefined ? undefined : expectedOf(receiver.authorization);
  }

  /**
   * 202 once the store has what the token asks for (rule V17), else 400 or 401 with the code of the error.
   *
   * @throws GatewayError 405, 408, 413; 503 where keys or the store are unavailable
   */
  async receive(request: ClientRequest, from: string): Promise<EndpointResponse> {
    if (request.method !== 'POST') throw SIGNAL_NOT_POSTED;
    const { intake } = this.#receiver;
    const expected = this.#expected;
    if (expected && !isExpected(expected, fieldValues(request.rawHeaders, 'authorization')))
      return this.#refuse(NOT_AUTHORIZED, from, 401, ['www-authenticate', expected.scheme]);
    const mediaType = mediaTypeOf(fieldValues(request.rawHeaders, 'content-type'));
    if (mediaType !== 'application/secevent+jwt') return this.#refuse(NOT_A_SET, from, 400);
    const body = await endpointBody(request, MAX_BODY_BYTES);
    const verdict = await intake.take(body.toString('latin1'), from);
    return verdict.kind === 'refused' ? errorResponse(400, verdict.err, verdict.description) : ACCEPTED;
  }

  #refuse(
    refusal: SignalRefused,
    from: string,
    status: number,
    headers: readonly string[] = [],
  ): EndpointResponse {
    this.#receiver.intake.refuse(refusal, from);
    return errorResponse(status, refusal.err, refusal.message, headers);
  }
}

const NO_STORE = ['cache-control', 'no-store'];
const ACCEPTED: EndpointResponse = { status: 202, headers: NO_STORE, body: '' };

/** RFC 8935 section 2.3. */
function errorResponse(
  status: number,
  err: SignalError,
  description: string,
  headers: readonly string[] = [],
): EndpointResponse {
  return {
    status,
    headers: ['content-type', 'application/json', 'content-language', 'en', ...NO_STORE, ...headers],
    body: `${JSON.stringify({ err, description })}\n`,
  };
}

interface Expected {
  readonly digest: Buffer;
  /** For the challenge of a 401 (RFC 9110 section 11.6.1). */
  readonly scheme: string;
}

function expectedOf(text: string): Expected {
  // As a header field has it: white space around it is none of its value.
  const authorization = text.trim();
  const [, scheme = 'Bearer'] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) /.exec(authorization) ?? [];
  return { digest: digestOf(authorization), scheme };
}

/** Of digests the comparison takes the same time whatever was sent. */
function isExpected({ digest }: Expected, [value, second]: readonly string[]): boolean {
  return value !== undefined && second === undefined && timingSafeEqual(digest, digestOf(value));
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
