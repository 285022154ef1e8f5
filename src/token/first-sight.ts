/**
 * Which tokens were seen before, without keeping anything of them but 32 bits of a digest: a full cache takes a token on its
 * second sight. What comes only once then pushes out nothing that comes again, and is not kept until the garbage collector
 * has copied it twice.
 */

/** 256 KiB. As many tokens may come between two of one token, give or take. */
const SLOTS = 65_536;
const SLOT_SHIFT = 16;
const CHARACTERS = 8;
/** 2^32 divided by the golden ratio: spreads what differs in few bits. */
const SPREAD = 0x9e3779b1;

export class FirstSight {
  /** Made when it is first needed: most caches are never full. */
  #marks: Uint32Array | undefined;

  /**
   * Was a token with this digest seen, and not too many others since? From now on it was. A wrong yes, once in billions, does
   * no harm: the token is cached one sight too early.
   *
   * @param digest base64url; its first 16 characters count
   */
  again(digest: string): boolean {
    const marks = (this.#marks ??= new Uint32Array(SLOTS));
    const slot = mixed(digest, 0) >>> SLOT_SHIFT;
    const mark = mixed(digest, CHARACTERS) | 1;
    const isKnown = marks[slot] === mark >>> 0;
    marks[slot] = mark;
    return isKnown;
  }
}

function mixed(digest: string, start: number): number {
  let sum = 0;
  for (let at = start; at < start + CHARACTERS; at++) sum = Math.imul(sum + digest.charCodeAt(at), SPREAD);
  return sum;
}
