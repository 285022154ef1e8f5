/**
 * The `state` that the gateway gives to a transmitter with each request to verify a stream, and finds in the event that comes
 * back. It says when it was made, so that every gateway of a fleet can read it, whichever of them has asked. Pure. OpenID SSF 1.0
 * section 8.1.4.
 */

/** @param unique a random text, so that no two are the same */
export function verificationState(nowMs: number, unique: string): string {
  return `sallyport.${Math.round(nowMs).toString(36)}.${unique}`;
}

const STATE = /^sallyport\.([0-9a-z]{1,11})\.[0-9A-Za-z-]{1,64}$/;

/** When it was made, in milliseconds since 1970; undefined: another has made it. */
export function madeAtMs(state: string): number | undefined {
  const [, time] = STATE.exec(state) ?? [];
  return time === undefined ? undefined : parseInt(time, 36);
}
