/**
 * Checks a response's head, or its trailers, while it is incomplete: an invalid one is refused at the first byte that no
 * valid head can have there, not when the wait for the rest ends. Pure. RFC 9112 sections 2.2, 4 and 5. Rules H4, C28.
 */
import { BrokenResponse } from './response-head.ts';

const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
/** For each place in the status line, every byte that may stand there. */
const STATUS_LINE: readonly string[] = [
  ...['H', 'T', 'T', 'P', '/', '1', '.', '01', ' '],
  ...['12345', '0123456789', '0123456789', ' \r'],
];

/** The bytes of a token (RFC 9110 section 5.6.2). */
const IS_TOKEN = Uint8Array.from({ length: 256 }, (_, code) =>
  /[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(code)) ? 1 : 0,
);
/** Text: everything but control bytes. */
const IS_TEXT = Uint8Array.from({ length: 256 }, (_, code) =>
  code === 0x09 || (code >= 0x20 && code !== 0x7f) ? 1 : 0,
);

export class UnfinishedHead {
  /** Bytes that have been checked. */
  #seen = 0;
  /** Place in the line. */
  #column = 0;
  #isStatusLine: boolean;
  /** The line's field name has not ended. */
  #inName = false;
  #afterCr = false;

  /** @param hasStatusLine false: it consists of field lines alone, as trailers do */
  constructor(hasStatusLine: boolean) {
    this.#isStatusLine = hasStatusLine;
    this.#inName = !hasStatusLine;
  }

  /**
   * @param bytes all of the head that has arrived, from its first byte on; each byte is checked once
   * @throws BrokenResponse
   */
  check(bytes: Buffer): void {
    for (; this.#seen < bytes.length; this.#seen++) {
      const byte = bytes[this.#seen] ?? 0;
      if (this.#afterCr) this.#endLine(byte);
      else if (this.#isStatusLine) this.#takeStatus(byte, bytes);
      else this.#takeField(byte);
    }
  }

  #takeStatus(byte: number, bytes: Buffer): void {
    const expected = STATUS_LINE[this.#column];
    if (expected !== undefined && !expected.includes(String.fromCharCode(byte)))
      throw new BrokenResponse(protocolOf(bytes));
    this.#takeText(byte);
  }

  #takeField(byte: number): void {
    if (this.#inName && !(this.#column === 0 && byte === CR)) {
      if (byte === COLON && this.#column > 0) this.#inName = false;
      else if (byte === CR || byte === LF) throw new BrokenResponse('a field line has no colon');
      else if (IS_TOKEN[byte] === 0) throw new BrokenResponse('a field name is not a token');
    }
    this.#takeText(byte);
  }

  #takeText(byte: number): void {
    this.#column++;
    if (byte === CR) this.#afterCr = true;
    else if (byte === LF) throw new BrokenResponse('a line ends with LF alone');
    else if (IS_TEXT[byte] === 0) throw new BrokenResponse('a byte that no head may have');
  }

  #endLine(byte: number): void {
    if (byte !== LF) throw new BrokenResponse('a CR without LF');
    this.#afterCr = false;
    this.#isStatusLine = false;
    this.#inName = true;
    this.#column = 0;
  }
}

/** Which protocol is it, if not HTTP/1? It helps to find a mistake in a target's address. */
function protocolOf(bytes: Buffer): string {
  const text = bytes.toString('latin1', 0, 16);
  // A record: alert or handshake, version 3 (RFC 8446 section 5.1).
  if (/^[\x15\x16](?:\x03|$)/.test(text)) return 'it speaks TLS, not HTTP';
  // SETTINGS come first: a length of 3 bytes, type 4, stream 0 (RFC 9113 section 3.4); or the preface itself.
  if (/^\0(?:$|[^]{2}\x04|[^]?$)/.test(text) || text.startsWith('PRI '))
    return 'it speaks HTTP/2, not HTTP/1.1';
  if (text.startsWith('SSH-')) return 'it speaks SSH, not HTTP';
  if (/^220[ -]/.test(text)) return 'it speaks SMTP or FTP, not HTTP';
  if (/^HTTP\/[^1]/.test(text)) return 'another version of HTTP';
  return 'no status line of HTTP/1.0 or HTTP/1.1';
}
