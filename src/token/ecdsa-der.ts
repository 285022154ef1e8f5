/**
 * An ECDSA signature as OpenSSL takes it: the DER of ECDSA-Sig-Value (RFC 3279 section 2.2.3), made of the two numbers of
 * a JWS, which have a fixed length (RFC 7518 section 3.4). Pure.
 */

const SEQUENCE = 0x30;
const INTEGER = 0x02;
/** One byte follows, which is the length. */
const LONG_LENGTH = 0x81;
const SHORT_LENGTHS_END = 0x80;
const SIGN_BIT = 0x80;

/** @param signature r and s, each of half the length, most significant byte first; at most 72 bytes each */
export function derOfSignature(signature: Uint8Array): Buffer {
  const half = signature.length / 2;
  const [r, s] = [firstByte(signature, 0, half), firstByte(signature, half, signature.length)];
  const [rBytes, sBytes] = [integerBytes(signature, r, half), integerBytes(signature, s, signature.length)];
  const content = 4 + rBytes + sBytes;
  const isLong = content >= SHORT_LENGTHS_END;
  const der = Buffer.allocUnsafe((isLong ? 3 : 2) + content);
  let at = 0;
  der[at++] = SEQUENCE;
  if (isLong) der[at++] = LONG_LENGTH;
  der[at++] = content;
  at = writeInteger(der, at, signature, r, half, rBytes);
  writeInteger(der, at, signature, s, signature.length, sBytes);
  return der;
}

/** Where the number begins without leading zeros; of zero its last byte. */
function firstByte(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end - 1 && bytes[at] === 0) at++;
  return at;
}

/** With a zero in front where it would be negative. */
function integerBytes(bytes: Uint8Array, start: number, end: number): number {
  return end - start + (isNegative(bytes, start) ? 1 : 0);
}

function isNegative(bytes: Uint8Array, start: number): boolean {
  return ((bytes[start] ?? 0) & SIGN_BIT) !== 0;
}

/** @returns where the next byte goes */
function writeInteger(
  der: Buffer,
  at: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  length: number,
): number {
  der[at++] = INTEGER;
  der[at++] = length;
  if (isNegative(bytes, start)) der[at++] = 0;
  for (let index = start; index < end; index++) der[at++] = bytes[index] ?? 0;
  return at;
}
