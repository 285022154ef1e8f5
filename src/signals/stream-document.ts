/**
 * The configuration of an event stream as a transmitter shows it, and as the gateway wants it: which of several is this gateway's,
 * and what of it differs. Pure. OpenID SSF 1.0 section 8.1.1.
 */
import { isJsonObject, numberOf, stringClaim, type JsonObject, type JsonValue } from '../token/claims.ts';

export const PUSH_METHOD = 'urn:ietf:rfc:8935';
export const POLL_METHOD = 'urn:ietf:rfc:8936';

export interface StreamDocument {
  readonly id: string;
  /** Undefined: the transmitter does not say. */
  readonly issuer: string | undefined;
  /** Empty: the transmitter does not say. */
  readonly audiences: readonly string[];
  readonly method: string | undefined;
  readonly endpointUrl: string | undefined;
  readonly eventsRequested: readonly string[];
  /** Undefined: the transmitter does not say. */
  readonly eventsDelivered: readonly string[] | undefined;
  readonly description: string | undefined;
  /** Between two requests to verify; 0: the transmitter does not say. */
  readonly minVerificationSeconds: number;
}

export interface WantedStream {
  readonly issuer: string;
  /** One of them at least must be in the stream's. */
  readonly audiences: readonly string[];
  /** Undefined: found by all else. */
  readonly id: string | undefined;
  readonly delivery:
    | { readonly method: typeof POLL_METHOD }
    | {
        readonly method: typeof PUSH_METHOD;
        readonly endpointUrl: string;
        /** What each delivery must have as its Authorization; a transmitter need not show it. */
        readonly authorization: string | undefined;
      };
  readonly events: readonly string[];
  readonly description: string;
}

/** @throws Error with fixed text where it is no configuration of a stream */
export function readStream(document: JsonValue | undefined): StreamDocument {
  if (!isJsonObject(document)) throw new Error('the configuration of the stream is no JSON object');
  const id = stringClaim(document, 'stream_id') ?? '';
  if (id === '') throw new Error('the configuration of the stream has no stream_id');
  const delivery = memberOf(document, 'delivery');
  const { events_delivered: delivered } = document;
  return {
    id,
    issuer: stringClaim(document, 'iss'),
    audiences: texts(document['aud']),
    method: stringClaim(delivery, 'method'),
    endpointUrl: stringClaim(delivery, 'endpoint_url'),
    eventsRequested: texts(document['events_requested']),
    eventsDelivered: delivered === undefined ? undefined : texts(delivered),
    description: stringClaim(document, 'description'),
    minVerificationSeconds: numberOf(document['min_verification_interval']) ?? 0,
  };
}

/** Of a request without stream_id: a list. Some transmitters have one stream, and show that. */
export function readStreams(document: JsonValue | undefined): readonly StreamDocument[] {
  if (document === undefined) return [];
  const list: readonly JsonValue[] | undefined = Array.isArray(document) ? document : undefined;
  return list ? list.map(readStream) : [readStream(document)];
}

/** Which stream is this gateway's. */
export interface Choice {
  /** Undefined: none is. */
  readonly chosen: StreamDocument | undefined;
  /** For the same audience, and the same as the chosen one in all that tells streams apart. */
  readonly twins: readonly StreamDocument[];
  /** For the same audience, but delivered otherwise or with another description: most likely another gateway's. */
  readonly others: readonly StreamDocument[];
}

/**
 * A stream is this gateway's where it is for one of its audiences, delivers as wanted, and has its description or none. Of several,
 * the one whose id comes first, so that all gateways of a fleet choose alike.
 */
export function chooseStream(streams: readonly StreamDocument[], wanted: WantedStream): Choice {
  const { id, issuer, audiences, description } = wanted;
  const candidates = streams.filter(
    (stream) =>
      (stream.issuer === undefined || stream.issuer === issuer) &&
      (stream.audiences.length === 0 || stream.audiences.some((each) => audiences.includes(each))),
  );
  const isOurs = (stream: StreamDocument): boolean =>
    id === undefined
      ? deliversAs(stream, wanted) && (stream.description === undefined || stream.description === description)
      : stream.id === id;
  const ours = candidates.filter(isOurs).sort((one, other) => (one.id < other.id ? -1 : 1));
  const [chosen, ...twins] = ours;
  return { chosen, twins, others: candidates.filter((stream) => !ours.includes(stream)) };
}

function deliversAs(stream: StreamDocument, { delivery }: WantedStream): boolean {
  if (stream.method !== delivery.method) return false;
  return delivery.method === POLL_METHOD || stream.endpointUrl === delivery.endpointUrl;
}

/** The request to make it. */
export function creation({ delivery, events, description }: WantedStream): JsonObject {
  return { delivery: deliveryJson(delivery), events_requested: events, description };
}

/** The request to change what differs; undefined: nothing does. */
export function change(stream: StreamDocument, wanted: WantedStream): JsonObject | undefined {
  const { events, delivery, description } = wanted;
  const requested = new Set(stream.eventsRequested);
  const sameEvents = requested.size === new Set(events).size && events.every((event) => requested.has(event));
  const parts = {
    ...(!deliversAs(stream, wanted) && { delivery: deliveryJson(delivery) }),
    ...(!sameEvents && { events_requested: events }),
    // A transmitter need not keep it.
    ...(stream.description !== undefined && stream.description !== description && { description }),
  };
  return Object.keys(parts).length === 0 ? undefined : { stream_id: stream.id, ...parts };
}

function deliveryJson(delivery: WantedStream['delivery']): JsonObject {
  if (delivery.method === POLL_METHOD) return { method: delivery.method };
  const { method, endpointUrl, authorization } = delivery;
  return {
    method,
    endpoint_url: endpointUrl,
    ...(authorization !== undefined && { authorization_header: authorization }),
  };
}

export type StreamStatus = 'enabled' | 'paused' | 'disabled';
const STATUSES: readonly string[] = ['enabled', 'paused', 'disabled'] satisfies StreamStatus[];

/** @throws Error with fixed text where it is no status */
export function readStatus(document: JsonValue | undefined): StreamStatus {
  const status = isJsonObject(document) ? stringClaim(document, 'status') : undefined;
  if (status === undefined || !STATUSES.includes(status))
    throw new Error('the status of the stream is none of enabled, paused and disabled');
  return status as StreamStatus;
}

function memberOf(document: JsonObject, name: string): JsonObject {
  const value = document[name];
  return isJsonObject(value) ? value : {};
}

function texts(value: JsonValue | undefined): readonly string[] {
  if (typeof value === 'string') return [value];
  const list: readonly JsonValue[] = Array.isArray(value) ? value : [];
  return list.filter((each) => typeof each === 'string');
}
