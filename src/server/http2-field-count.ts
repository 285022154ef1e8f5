/**
 * Counts the field lines of each HTTP/2 request, from a client's bytes. nghttp2 drops a field with CR, LF, NUL or another
 * byte that no field has, and says nothing: if Node hands over fewer fields than came, one was dropped. Counting
 * needs neither the dynamic table nor Huffman codes: each representation is one field, and each string has its length
 * in front. Pure. RFC 9113 sections 4 and 6, RFC 7541 sections 5 and 6. Rule C27.
 */
const PREFACE_BYTES = 24;
const FRAME_HEAD_BYTES = 9;
const HEADERS = 1;
const PRIORITY_FRAME = 2;
const CONTINUATION = 9;
const END_HEADERS = 4;
const PADDED = 8;
const PRIORITY = 0x20;
const PRIORITY_BYTES = 5;
/** Requests that were counted but not handed over by Node, which hands over none that nghttp2 refuses. */
const MOST_PENDING = 2_000;

/** What the next byte of a header block is. */
const Next = { field: 0, index: 1, size: 2, name: 3, nameLength: 4, value: 5, valueLength: 6 } as const;
type Next = (typeof Next)[keyof typeof Next];

export class FieldCounter {
  /** Bytes to skip. */
  #skip = PREFACE_BYTES;
  readonly #head = new Uint8Array(FRAME_HEAD_BYTES);
  #headBytes = 0;
  /** Bytes of a header block's fragment that have not come yet in this frame. */
  #fragment = 0;
  #padding = 0;
  /** A frame with padding has come, its pad length has not. */
  #awaitsPadLength = false;
  #endsBlock = false;
  #stream = 0;
  /** The stream of the last request; header blocks on this stream or on lower ones are trailers. */
  #lastStream = 0;
  #next: Next = Next.field;
  /** Bytes of a string that have not come yet. */
  #string = 0;
  #integer = 0;
  #shift = 0;
  #fields = 0;
  readonly #pending: { readonly stream: number; readonly fields: number }[] = [];

  /**
   * @param bytes what the client has sent, in any pieces; not kept
   * @returns false if the connection must end: nghttp2 could not read this either, or too many requests are pending
   */
  read(bytes: Uint8Array): boolean {
    let at = 0;
    while (at < bytes.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at);
        this.#skip -= skipped;
        at += skipped;
      } else if (this.#awaitsPadLength) {
        if (!this.#beginPadded(bytes[at++] ?? 0)) return false;
      } else if (this.#fragment > 0) {
        const taken = Math.min(this.#fragment, bytes.length - at);
        if (!this.#takeFragment(bytes, at, at + taken)) return false;
        at += taken;
        this.#fragment -= taken;
        if (this.#fragment === 0 && !this.#endFragment()) return false;
      } else {
        this.#head[this.#headBytes++] = bytes[at++] ?? 0;
        if (this.#headBytes === FRAME_HEAD_BYTES && !this.#beginFrame()) return false;
      }
    }
    return true;
  }

  /** How many field lines the request on this stream has; undefined, an error, if it was never counted. */
  take(stream: number): number | undefined {
    for (;;) {
      const first = this.#pending.shift();
      if (first === undefined || first.stream === stream) return first?.fields;
    }
  }

  #beginFrame(): boolean {
    const head = this.#head;
    this.#headBytes = 0;
    const length = (byte(head, 0) << 16) | (byte(head, 1) << 8) | byte(head, 2);
    const [type, flags] = [byte(head, 3), byte(head, 4)];
    if (type !== HEADERS && type !== CONTINUATION) {
      this.#skip = length;
      // Priorities of the connection itself: RFC 9113 section 6.3 wants its end, and nghttp2 ignores them.
      return (
        type !== PRIORITY_FRAME ||
        ((byte(head, 5) & 0x7f) | byte(head, 6) | byte(head, 7) | byte(head, 8)) !== 0
      );
    }
    this.#endsBlock = (flags & END_HEADERS) !== 0;
    this.#padding = 0;
    this.#fragment = length;
    if (type === CONTINUATION) return length > 0 || this.#endFragment();
    this.#stream =
      ((byte(head, 5) & 0x7f) << 24) | (byte(head, 6) << 16) | (byte(head, 7) << 8) | byte(head, 8);
    this.#fields = 0;
    this.#next = Next.field;
    if ((flags & PRIORITY) !== 0) this.#fragment -= PRIORITY_BYTES;
    if ((flags & PADDED) === 0) {
      this.#skip = length - this.#fragment;
      return this.#fragment > 0 || (this.#fragment === 0 && this.#endFragment());
    }
    this.#awaitsPadLength = true;
    this.#skip = 0;
    return length > 0;
  }

  /** Behind the pad length come the priority, the fragment and the padding. */
  #beginPadded(padding: number): boolean {
    this.#awaitsPadLength = false;
    this.#padding = padding;
    this.#fragment -= 1 + padding;
    if ((byte(this.#head, 4) & PRIORITY) !== 0) this.#skip = PRIORITY_BYTES;
    return this.#fragment > 0 || (this.#fragment === 0 && this.#endFragment());
  }

  #endFragment(): boolean {
    // A priority without a fragment is still to be skipped, too.
    this.#skip += this.#padding;
    if (!this.#endsBlock) return true;
    if (this.#next !== Next.field || this.#string > 0) return false;
    if (this.#stream <= this.#lastStream) return true;
    this.#lastStream = this.#stream;
    this.#pending.push({ stream: this.#stream, fields: this.#fields });
    return this.#pending.length <= MOST_PENDING;
  }

  #takeFragment(bytes: Uint8Array, from: number, to: number): boolean {
    let at = from;
    while (at < to) {
      if (this.#string > 0) {
        const skipped = Math.min(this.#string, to - at);
        this.#string -= skipped;
        at += skipped;
      } else if (!this.#takeByte(bytes[at++] ?? 0)) return false;
    }
    return true;
  }

  /** Any byte that is not within a string. */
  #takeByte(byte: number): boolean {
    switch (this.#next) {
      case Next.field:
        this.#beginField(byte);
        return true;
      case Next.name:
      case Next.value: {
        const length = byte & 0x7f;
        const lengthFollows = this.#next === Next.name ? Next.nameLength : Next.valueLength;
        if (length === 0x7f) this.#beginInteger(length, lengthFollows);
        else this.#beginString(length, this.#next === Next.name);
        return true;
      }
      default:
        return this.#takeInteger(byte);
    }
  }

  /** RFC 7541 section 6: the first byte tells the representation. */
  #beginField(byte: number): void {
    // A size update of the dynamic table is no field.
    if ((byte & 0xe0) === 0x20) {
      if ((byte & 0x1f) === 0x1f) this.#beginInteger(0x1f, Next.size);
      return;
    }
    this.#fields++;
    if ((byte & 0x80) !== 0) {
      if ((byte & 0x7f) === 0x7f) this.#beginInteger(0x7f, Next.size);
      return;
    }
    const prefix = (byte & 0x40) !== 0 ? 0x3f : 0x0f;
    const index = byte & prefix;
    if (index === prefix) this.#beginInteger(prefix, Next.index);
    else this.#next = index === 0 ? Next.name : Next.value;
  }

  #beginInteger(value: number, next: Next): void {
    this.#integer = value;
    this.#shift = 0;
    this.#next = next;
  }

  /** RFC 7541 section 5.1. */
  #takeInteger(byte: number): boolean {
    this.#integer += (byte & 0x7f) * 2 ** this.#shift;
    this.#shift += 7;
    // nghttp2 refuses longer ones, too; no block has room for such a length.
    if (this.#shift > 35 || this.#integer > 0xffffffff) return false;
    if ((byte & 0x80) !== 0) return true;
    if (this.#next === Next.size) this.#next = Next.field;
    else if (this.#next === Next.index) this.#next = Next.value;
    else this.#beginString(this.#integer, this.#next === Next.nameLength);
    return true;
  }

  #beginString(length: number, isName: boolean): void {
    this.#string = length;
    this.#next = isName ? Next.value : Next.field;
  }
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}
