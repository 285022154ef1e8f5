/**
 * Text and numbers as a log line has them: JSON of printable ASCII alone. What a terminal or a log shipper might obey (C0
 * and C1 controls, line ends of Unicode, marks that turn the direction of text) is escaped with all the rest. Rule A6.
 */

/** What JSON.stringify leaves as it is, and this log does not. */
const NOT_ASCII = /[\u007f-\uffff]/g;
const PLAIN = /^[ !#-[\]-~]*$/;
const CUT = '...';

/** As a JSON string with its quotes. */
export function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : asciiJson(JSON.stringify(text));
}

/** As quoted, of at most so many characters; `...` shows where it was cut. */
export function quotedUpTo(text: string, maxCharacters: number): string {
  return quoted(text.length > maxCharacters ? text.slice(0, maxCharacters) + CUT : text);
}

/** The same JSON, in ASCII: what is beyond it can only stand within strings. */
export function asciiJson(json: string): string {
  return json.replace(NOT_ASCII, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const MICROS_A_MILLI = 1_000;
/** The decimals of a number of milliseconds: V8 needs longer to write a fraction than for all the rest of a line. */
const DECIMALS = Array.from({ length: MICROS_A_MILLI }, (_, micros) => `.${String(micros).padStart(3, '0')}`);

/** Milliseconds with three decimals. */
export function millisecondsText(milliseconds: number): string {
  const micros = Math.max(0, Math.round(milliseconds * MICROS_A_MILLI));
  const whole = Math.floor(micros / MICROS_A_MILLI);
  return `${whole}${DECIMALS[micros - whole * MICROS_A_MILLI] ?? ''}`;
}
