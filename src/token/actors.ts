/**
 * Who acts for the subject of a token: the chain in its `act` claim (RFC 8693 section 4.1), the current actor first. Pure.
 *
 * It is matched for revocation only: nothing is ever granted by it. Providers write `sub`, with `iss` or without it, and some the
 * client of the actor (`client_id`, `azp`); all other members are theirs. A text in place of the object counts as `sub`. What could
 * name an actor and cannot be read makes the token bad, since an entry for that actor would not end it.
 */
import type { RevocableActor } from '../revocation/revocation-target.ts';
import { isJsonObject, stringClaim, textOf, type JsonObject, type JsonValue } from './claims.ts';

/** Longer chains are refused: each level costs look-ups on every request while something is revoked. */
export const MAX_ACTORS = 8;

export type UnreadableActors = 'too_long' | 'unclear';

const NONE: readonly RevocableActor[] = [];
const CLIENT_MEMBERS = ['client_id', 'azp'] as const;

/** @param claims of which nothing else is looked at than `act` and `iss` */
export function actorsOf(claims: JsonObject): readonly RevocableActor[] | UnreadableActors {
  const { act } = claims;
  if (isAbsent(act)) return NONE;
  const actors: RevocableActor[] = [];
  for (let level: JsonValue | undefined = act; !isAbsent(level);) {
    if (actors.length === MAX_ACTORS) return 'too_long';
    const actor = actorIn(level, stringClaim(claims, 'iss'));
    if (actor === undefined) return 'unclear';
    actors.push(actor);
    level = isJsonObject(level) ? level['act'] : undefined;
  }
  return actors;
}

function actorIn(level: JsonValue, ownIssuer: string | undefined): RevocableActor | undefined {
  if (!isJsonObject(level)) {
    const subject = textOf(level);
    return subject === undefined ? undefined : { issuer: undefined, subject, clients: [] };
  }
  const { iss, sub } = level;
  const names = CLIENT_MEMBERS.map((name) => level[name]);
  if (![sub, ...names].every((value) => isAbsent(value) || textOf(value) !== undefined)) return undefined;
  if (!isAbsent(iss) && typeof iss !== 'string') return undefined;
  return {
    // An issuer that names itself is known by all of its names, as for the token.
    issuer: isAbsent(iss) || iss === ownIssuer ? undefined : iss,
    subject: textOf(sub),
    clients: names.flatMap((name) => textOf(name) ?? []),
  };
}

function isAbsent(value: JsonValue | undefined): value is null | undefined {
  return value === undefined || value === null;
}
