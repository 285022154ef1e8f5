/**
 * The text of an API key: a prefix, 256 random bits, and a checksum of both, so that a scanner knows a leaked key from other text
 * offline. Pure.
 *
 *     sp_live_  0123…  (43 digits of base62)  0123…  (6 digits of base62)
 *     prefix    256 random bits               CRC-32 of all that stands before it
 *
 * Base62 here: the digits 0-9, A-Z, a-z in this order, the highest first, with leading zeros. CRC-32 is that of zlib and PNG
 * (ISO 3309). The checksum keeps nothing secret and proves nothing: only the digest of the whole key decides.
 */
import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

export const KEY_PREFIX = 'sp_live_';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_BYTES = 32;
/** 62 ** 43 is above 2 ** 256. */
const SECRET_DIGITS = 43;
/** 62 ** 6 is above 2 ** 32. */
const CHECKSUM_DIGITS = 6;
const CHECKED_CHARACTERS = KEY_PREFIX.length + SECRET_DIGITS;
export const KEY_CHARACTERS = CHECKED_CHARACTERS + CHECKSUM_DIGITS;

/** Source of a regular expression: what may be a key, whatever its checksum. */
export const KEY_PATTERN = `${KEY_PREFIX}[0-9A-Za-z]{${SECRET_DIGITS + CHECKSUM_DIGITS}}`;
const WHOLE = new RegExp(`^${KEY_PATTERN}$`);
const WITHIN = new RegExp(KEY_PATTERN);

/**
 * Makes a new key. It is shown once, to the one who creates it; what is stored is its digest.
 *
 * @param secret 32 bytes that cannot be guessed; tests alone give them
 */
export function makeKey(secret: Uint8Array = randomBytes(SECRET_BYTES)): string {
  if (secret.length !== SECRET_BYTES) throw new TypeError(`a key has ${SECRET_BYTES} random bytes`);
  const number = BigInt(`0x${Buffer.from(secret).toString('hex')}`);
  const checked = KEY_PREFIX + base62(number, SECRET_DIGITS);
  return checked + checksumOf(checked);
}

/** Is this credential for the issuers of API keys alone? By its prefix, so that a damaged key goes nowhere else, either. */
export function hasKeyPrefix(credential: string): boolean {
  return credential.startsWith(KEY_PREFIX);
}

/** Has the text the form of a key, its checksum included? */
export function isKeyText(text: string): boolean {
  return WHOLE.test(text) && text.endsWith(checksumOf(text.slice(0, CHECKED_CHARACTERS)));
}

/** Is a key, or what may be meant as one, anywhere in this text? Its checksum is not looked at. */
export function holdsKey(text: string): boolean {
  return text.includes(KEY_PREFIX) && WITHIN.test(text);
}

/** What of a key is stored: SHA-256 of the whole key, as 64 lower-case hexadecimal digits. */
export function keySha256(key: string): string {
  return hash('sha256', key, 'hex');
}

/** The same digest as the line has it: base64url, as presentedDigest of token/token-digest.ts. */
export function presentedForm(sha256: string): string {
  return Buffer.from(sha256, 'hex').toString('base64url');
}

function checksumOf(checked: string): string {
  let number = crc32(checked);
  let digits = '';
  for (let at = 0; at < CHECKSUM_DIGITS; at++) {
    digits = (DIGITS[number % 62] ?? '') + digits;
    number = Math.floor(number / 62);
  }
  return digits;
}

function base62(number: bigint, length: number): string {
  let digits = '';
  for (let rest = number; digits.length < length; rest /= 62n) {
    digits = (DIGITS[Number(rest % 62n)] ?? '') + digits;
  }
  return digits;
}
