/**
 * The credentials of a request (RFC 9110 section 11.4), read once for all requests of a connection that repeat them: most clients send
 * one token many times. What is kept is what the text itself says; whether it is good is asked for each request. Pure.
 */
import { hash } from 'node:crypto';

/** credentials = auth-scheme [ 1*SP ... ] (RFC 9110 section 11.4) */
const CREDENTIALS = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?: +(.*))?$/s;
/** token68 (RFC 9110 section 11.2), which is b64token (RFC 6750 section 2.1). */
export const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/;

/** The value of an Authorization line. */
export class Credentials {
  /** As it came. */
  readonly text: string;
  /** In lower case; undefined where the text does not begin with one. */
  readonly scheme: string | undefined;
  /** What follows the scheme and its spaces; undefined where nothing does. */
  readonly token: string | undefined;
  #isToken68: boolean | undefined;
  #digest: string | undefined;

  constructor(text: string) {
    this.text = text;
    // The usual spelling, without a regular expression over the whole token.
    if (text.startsWith('Bearer ') && text[7] !== ' ') {
      this.scheme = 'bearer';
      this.token = text.slice(7);
      return;
    }
    const [, scheme, token] = CREDENTIALS.exec(text) ?? [];
    this.scheme = scheme?.toLowerCase();
    this.token = token;
  }

  get isToken68(): boolean {
    return (this.#isToken68 ??= TOKEN68.test(this.token ?? ''));
  }

  /** SHA-256 of the token, base64url: presentedDigest of token/token-digest.ts. */
  get digest(): string {
    return (this.#digest ??= hash('sha256', this.token ?? '', 'base64url'));
  }
}

/** Longer ones are not kept: connections that send nothing hold little memory. */
const MAX_KEPT_CHARACTERS = 4_096;

/** The last credentials of a connection. They end with it. */
export class LastCredentials {
  #last: Credentials | undefined;

  /** @param text of which nothing is trusted */
  read(text: string): Credentials {
    const last = this.#last;
    if (last?.text === text) return last;
    const credentials = new Credentials(text);
    if (text.length <= MAX_KEPT_CHARACTERS) this.#last = credentials;
    return credentials;
  }
}
