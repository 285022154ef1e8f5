/** The entry of the revocation list that refuses a token, as a member of the request's line (docs/reference.md, "Log"). Pure. */
import { ageSeconds, causeText, type Cause } from '../revocation/cause.ts';
import { quoted } from './log-text.ts';

/** @param cause undefined: the store has not said it in time; the id is known all the same */
export function refusingEntryText(id: string, cause: Cause | undefined, nowMs: number): string {
  let text = `,"revocation":{"id":"${id}"`;
  if (cause) {
    const { kind, createdBy, reason, createdAt } = cause;
    if (kind !== undefined) text += `,"kind":"${kind}"`;
    text += `,"by":${quoted(createdBy)}`;
    if (reason !== null) text += `,"reason":${quoted(reason)}`;
    text += `,"age_seconds":${ageSeconds(createdAt, nowMs)},"cause":${quoted(causeText(cause, nowMs))}`;
  }
  return `${text}}`;
}
