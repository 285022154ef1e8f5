/** Why an entry was made, for people: the name of the event, and what its transmitter says of it. Pure. Rules A6, J15. */
import { isJsonObject, type JsonObject, type JsonValue } from '../token/claims.ts';
import type { EventName } from './signal-events.ts';

/** What a transmitter says is its text, and takes room in the store and in each audit line. */
const MAX_CHARACTERS = 200;

/** `session-revoked`, or `session-revoked: Landspeed Policy Violation: C076E82F`. The name of the event has no colon. */
export function reasonOf(event: EventName, payload: JsonObject): string {
  const said = saidIn(payload);
  return said === '' ? event : `${event}: ${said}`;
}

function saidIn({ reason_admin: reason, reason: cause }: JsonObject): string {
  // CAEP: an object by languages; a text in older drafts. RISC has a word such as hijacking in reason.
  const texts = isJsonObject(reason) ? [reason['en'], ...Object.values(reason)] : [reason, cause];
  const text = texts.find((each): each is string => isText(each)) ?? '';
  // Lone halves of a pair, controls and line ends would travel on to every reader of the entry.
  const clean = text
    .toWellFormed()
    .replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
  return clean.length > MAX_CHARACTERS ? `${clean.slice(0, MAX_CHARACTERS).toWellFormed()}...` : clean;
}

function isText(value: JsonValue | undefined): boolean {
  return typeof value === 'string' && value.trim() !== '';
}
