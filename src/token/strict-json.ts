/**
 * JSON with one reading (RFC 8259, RFC 7515 section 4, RFC 8725 section 2.4): duplicate members, invalid UTF-8,
 * a byte order mark, lone surrogates and deep nesting are refused, since another parser might take them
 * differently. Numbers keep their digits. Pure. Rule J11.
 */

/** A number whose JavaScript text differs from what was written, such as 12345678901234567890 or 1.0. */
export class RawNumber {
  readonly source: string;
  readonly value: number;
  constructor(source: string) {
    this.source = source;
    this.value = Number(source);
  }
}

export interface JsonObject {
  readonly [name: string]: JsonValue;
}
export type JsonValue = string | number | boolean | null | RawNumber | readonly JsonValue[] | JsonObject;

/** Deeper than any honest token; far shallower than any stack. */
const MAX_DEPTH = 32;

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// Up to the closing quote or the first escape; control characters end it too and are then refused.
const PLAIN_STRING = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * What JSON.parse makes of a text that is just as JSON.stringify would write it: then it has one reading, every name
 * once, and numbers that keep their digits. Most tokens are written so, and this is several times as fast. It also
 * finds out where V8 13.6 (Node 24) is mistaken: after {"q":1,"ab\\":1} it reads {"q":1,"ab\n":1} as the former.
 *
 * @returns undefined where it is not known yet
 */
function parseCompact(text: string): JsonValue | undefined {
  // Escapes may hide lone surrogates, which JSON.stringify would write back.
  if (text.includes('\\u')) return undefined;
  try {
    const value = JSON.parse(text) as JsonValue;
    return JSON.stringify(value) === text && !isDeep(value, 0) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isDeep(value: JsonValue, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth >= MAX_DEPTH) return true;
  return Object.values(value).some((member: JsonValue) => isDeep(member, depth + 1));
}

/**
 * Parses strict JSON. Of objects, only their own members count: they may have a prototype.
 *
 * @throws SyntaxError without any of the input in its message
 */
export function parseStrictJson(bytes: Uint8Array): JsonValue {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new SyntaxError('JSON is not UTF-8');
  }
  return parseCompact(text) ?? new Parser(text).parse();
}

const BYTE_ORDER_MARK = Buffer.from('\ufeff');

/**
 * As parseStrictJson, for key sets and metadata, which are often files: a byte order mark, as some editors write it, counts for
 * nothing (RFC 8259 section 8.1). What decides about a token has no such mark.
 */
export function parseKeySetJson(bytes: Buffer): JsonValue {
  const { length } = BYTE_ORDER_MARK;
  return parseStrictJson(bytes.subarray(0, length).equals(BYTE_ORDER_MARK) ? bytes.subarray(length) : bytes);
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): JsonValue {
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail();
    return value;
  }

  #fail(): never {
    throw new SyntaxError('JSON is not strict');
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #take(char: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) this.#fail();
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #word<T extends boolean | null>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail();
    this.#at += word.length;
    return value;
  }

  #number(): number | RawNumber {
    NUMBER.lastIndex = this.#at;
    const source = NUMBER.exec(this.#text)?.[0];
    if (source === undefined) this.#fail();
    this.#at += source.length;
    const value = Number(source);
    return String(value) === source ? value : new RawNumber(source);
  }

  #string(): string {
    this.#at++;
    let result = '';
    for (;;) {
      PLAIN_STRING.lastIndex = this.#at;
      const plain = PLAIN_STRING.exec(this.#text)?.[0] ?? '';
      result += plain;
      this.#at += plain.length;
      const end = this.#text[this.#at++];
      if (end === '"') break;
      if (end !== '\\') this.#fail();
      result += this.#escape();
    }
    // A lone surrogate has no UTF-8: two services would see two different names.
    if (!result.isWellFormed()) this.#fail();
    return result;
  }

  #escape(): string {
    const char = this.#text[this.#at++] ?? '';
    if (char !== 'u') return ESCAPES[char] ?? this.#fail();
    const hex = this.#text.slice(this.#at, this.#at + 4);
    if (!/^[0-9A-Fa-f]{4}$/.test(hex)) this.#fail();
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  #array(depth: number): JsonValue[] {
    this.#at++;
    const items: JsonValue[] = [];
    if (this.#take(']')) return items;
    for (;;) {
      items.push(this.#value(depth + 1));
      if (this.#take(']')) return items;
      if (!this.#take(',')) this.#fail();
    }
  }

  #object(depth: number): JsonObject {
    this.#at++;
    const members = Object.create(null) as Record<string, JsonValue>;
    if (this.#take('}')) return members;
    for (;;) {
      this.#skipSpace();
      if (this.#text[this.#at] !== '"') this.#fail();
      const name = this.#string();
      if (name in members) this.#fail();
      if (!this.#take(':')) this.#fail();
      members[name] = this.#value(depth + 1);
      if (this.#take('}')) return members;
      if (!this.#take(',')) this.#fail();
    }
  }
}

/** The inverse of parseStrictJson: compact JSON, numbers by their source digits. */
export function toJson(value: JsonValue): string {
  if (value instanceof RawNumber) return value.source;
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value as JsonObject);
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${toJson(member)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}
