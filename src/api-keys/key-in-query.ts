/** An API key in the query of a request, where it would end up in logs, histories and Referer. Pure. Rule X2. */
import { holdsKey } from './key-text.ts';

/** An upstream that decodes twice reads text that is encoded twice. */
const MAX_DECODED = 3;

/** Is there what may be a key, in any percent-encoded spelling, whatever its parameter is called? */
export function hasKeyInQuery(query: string): boolean {
  let text = query;
  for (let times = 0; times <= MAX_DECODED; times++) {
    if (holdsKey(text)) return true;
    if (!text.includes('%')) return false;
    text = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  }
  return false;
}
