/**
 * The wire format of Protocol Buffers: the few messages that the gateway reads and writes, by field numbers. Pure.
 * Protocol Buffers, "Encoding".
 *
 * Why the reader and the writer of the library, and no descriptors: descriptors would have to be built by code for some
 * twenty messages, and they make an object of each map. There the last of two fields with one key wins and the
 * first is gone, but here a header that came twice must be seen twice. Also nothing is built of what is not read,
 * such as the body of a request.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** The bytes are no message, or not this one. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

/**
 * Visits the strings, bytes and messages of a message, in the order in which they came, repeated ones each time. Fields
 * of other types are skipped.
 *
 * @param take gets a view of `message`, not a copy
 * @throws MalformedMessage
 */
export function eachField(message: Uint8Array, take: (field: number, value: Uint8Array) => void): void {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, value] = nextField(reader);
    if (value) take(field, value);
  }
}

/** The library throws errors of several kinds, and none of its own. */
function nextField(reader: BinaryReader): [field: number, value: Uint8Array | undefined] {
  try {
    const [field, type] = reader.tag();
    if (type === WireType.LengthDelimited) return [field, reader.bytes()];
    reader.skip(type, field);
    return [field, undefined];
  } catch (error) {
    throw new MalformedMessage('the bytes are no message', { cause: error });
  }
}

/** A string or bytes as latin1: each byte is a character, as in header fields. */
export function latin1(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
}

/** Writes one message, field by field. */
export class MessageWriter {
  readonly #writer = new BinaryWriter();

  string(field: number, value: string): this {
    this.#writer.tag(field, WireType.LengthDelimited).string(value);
    return this;
  }

  /** Of int32, bool and enum; not negative. */
  number(field: number, value: number): this {
    this.#writer.tag(field, WireType.Varint).uint32(value);
    return this;
  }

  /** @param write writes the fields of the inner message; none: the message is there, and empty */
  message(field: number, write?: () => void): this {
    this.#writer.tag(field, WireType.LengthDelimited).fork();
    write?.();
    this.#writer.join();
    return this;
  }

  finish(): Uint8Array {
    return this.#writer.finish();
  }
}
