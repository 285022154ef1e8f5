/** What a dry run knows of the status lists of issuers, in words: all that the gateway knows where it may ask, else what the token names. */
import type { GatewayError } from '../errors.ts';
import type { Statuses } from '../stages/check-revocation.ts';
import { statusText } from '../status-lists/status-list.ts';
import type { StatusLists } from '../status-lists/status-lists.ts';
import type { AuthenticToken } from '../token/token-verifier.ts';

export interface KnownStatuses {
  readonly view: Statuses;
  /** Of a token, and what its list says; empty where nothing of it is looked at. */
  textFor(token: AuthenticToken): string;
}

/** @param online lists are fetched, as for a request */
export function statusesOf(lists: StatusLists, online: boolean): KnownStatuses {
  return online ? { view: lists, textFor: (token) => heldText(lists, token) } : notAsked(lists);
}

/** What the token names is looked at all the same. */
function notAsked(lists: StatusLists): KnownStatuses {
  const claimed = (token: AuthenticToken): GatewayError | 'good' => {
    const reference = lists.referenceOf(token);
    return reference instanceof Error ? reference : 'good';
  };
  return {
    view: { verdictOf: claimed, heldVerdictOf: claimed },
    textFor(token) {
      const reference = lists.referenceOf(token);
      if (reference === undefined || reference instanceof Error) return '';
      return `its status is entry ${reference.index} of ${reference.uri}, which was not fetched (--online does)`;
    },
  };
}

function heldText(lists: StatusLists, token: AuthenticToken): string {
  const facts = lists.factsOf(token);
  if (!facts) return '';
  const { uri, index, status, ageMs, isCurrent } = facts;
  const entry = `entry ${index} of the status list ${uri}`;
  if (ageMs === Infinity) return `${entry}: the list is unavailable`;
  const what = status === undefined ? 'there is none' : statusText(status);
  const age = `the list is ${Math.round(ageMs / 1000)} s old`;
  return `${entry}: ${what}; ${age}${isCurrent ? '' : ', which is too old to go by, or it has expired'}`;
}
