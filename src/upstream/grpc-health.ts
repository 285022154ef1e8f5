/**
 * The health protocol of gRPC (grpc.health.v1.Health/Check): what is asked, and what a response means. Pure.
 *
 * The two messages have one field each, so they are written and read here: sixty lines, half of which any protobuf
 * library would need around its calls, to check the same things of a target that may send anything.
 */
import { fieldValue, type FieldList } from '../http/field-list.ts';

export const CHECK_PATH = '/grpc.health.v1.Health/Check';

/** What a check has found out. */
export interface Finding {
  readonly passes: boolean;
  /** For people: fixed text and numbers. */
  readonly says: string;
}

/** The tag of a message's field 1 that has bytes (protobuf encoding, wire type 2). */
const FIELD_1_BYTES = 0x0a;
const FRAME_HEAD_BYTES = 5;

/** HealthCheckRequest { string service = 1 } as the one frame of a request: a flag, a length, the message. */
export function checkRequest(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  const message =
    name.length === 0 ? name : Buffer.concat([Buffer.from([FIELD_1_BYTES, ...varint(name.length)]), name]);
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** HealthCheckResponse.ServingStatus; a server says SERVICE_UNKNOWN only to those that watch. */
const SERVING_STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const SERVING = 1;

const REFUSALS: Readonly<Record<string, string>> = {
  5: 'NOT_FOUND: the server does not know this service',
  12: 'UNIMPLEMENTED: the server has no grpc.health.v1.Health',
};

/**
 * @param headers of the response
 * @param body all of it
 */
export function healthFinding(
  status: number,
  headers: FieldList,
  body: Buffer,
  trailers: FieldList,
): Finding {
  // A response that has only trailers has them in its head.
  const grpcStatus = fieldValue(trailers, 'grpc-status') ?? fieldValue(headers, 'grpc-status');
  if (status !== 200 || grpcStatus === undefined)
    return fails(status === 200 ? 'it does not speak gRPC: no grpc-status' : `status ${status}`);
  if (!/^\d{1,2}$/.test(grpcStatus)) return fails('a grpc-status that is no number');
  if (grpcStatus !== '0') return fails(REFUSALS[grpcStatus] ?? `grpc-status ${grpcStatus}`);
  const serving = servingStatus(body);
  if (serving === undefined) return fails('a response that is no HealthCheckResponse');
  return {
    passes: serving === SERVING,
    says: SERVING_STATUS[serving] ?? `status ${serving} of none that exist`,
  };
}

function fails(says: string): Finding {
  return { passes: false, says };
}

/** @returns the status of the one message in the body; undefined where it is not exactly that */
function servingStatus(body: Buffer): number | undefined {
  const message = body.subarray(FRAME_HEAD_BYTES);
  if (body.length < FRAME_HEAD_BYTES || body[0] !== 0 || body.readUInt32BE(1) !== message.length)
    return undefined;
  let status = 0;
  for (let at = 0; at < message.length;) {
    const tag = readVarint(message, at);
    const value = tag && readVarint(message, tag.end);
    if (!tag || !value) return undefined;
    // Fields that a later version adds are passed over.
    const wireType = tag.value & 7;
    if (wireType === 0 && tag.value >>> 3 === 1) status = value.value;
    if (wireType === 0) at = value.end;
    else if (wireType === 2) at = value.end + value.value;
    else return undefined;
    if (at > message.length) return undefined;
  }
  return status;
}

/** A number of at most 28 bits: no length and no status is larger. */
function readVarint(bytes: Buffer, from: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let index = 0; index < 4; index++) {
    const byte = bytes[from + index];
    if (byte === undefined) return undefined;
    value |= (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return { value, end: from + index + 1 };
  }
  return undefined;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}
