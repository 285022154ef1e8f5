/**
 * API keys where none belong: in the query of a request, which ends up in logs, histories and Referer, and in what else a client has
 * written and the log shows. Pure. Rules X2, A5.
 */
import { holdsKey, KEY_PATTERN } from './key-text.ts';

/** An upstream that decodes twice reads text that is encoded twice. */
const MAX_DECODED = 3;
const KEYS = new RegExp(KEY_PATTERN, 'g');

/** Is there what may be a key, in any percent-encoded spelling, whatever stands around it? */
export function hidesKey(text: string): boolean {
  let decoded = text;
  for (let times = 0; times <= MAX_DECODED; times++) {
    if (holdsKey(decoded)) return true;
    if (!decoded.includes('%')) return false;
    decoded = decoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  }
  return false;
}

/** The text for a log: without the keys in it, or without all of it where a key is hidden by an encoding. */
export function withoutKeys(text: string): string {
  if (!hidesKey(text)) return text;
  return holdsKey(text) ? text.replace(KEYS, 'sp_live_...') : '(an API key)';
}
