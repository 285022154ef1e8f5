/**
 * What a revocation ends and what it does not, in words: the preview, the API's response, the command line and the page all
 * say the same. Pure. Rule V14.
 */
import type { TargetKind } from '../revocation/revocation-target.ts';
import type { Effect } from './entry-json.ts';

const CUTOFF_NEEDS =
  'The refresh tokens, at the authorization server: the tokens that they bring are issued later, and pass.';

const EFFECTS: Readonly<Record<TargetKind, Effect>> = {
  token: {
    ends: 'This one token, until it expires.',
    also_end:
      'Its refresh token or session, at the authorization server: a refresh brings another token, which passes.',
  },
  token_id: {
    ends: 'This one token, until it expires.',
    also_end:
      'Its refresh token or session, at the authorization server: a refresh brings another token, which passes.',
  },
  session: {
    ends: 'Every token of this session, for good: also those that a refresh brings. A login with another session works.',
    also_end:
      'The session and its refresh tokens, at the authorization server. A token that a refresh brings without naming the session passes.',
  },
  subject: {
    ends: 'Every token of this subject, and every token with which it acts for another (act), whose login (auth_time, else iat) was up to issued_before. A later login works.',
    also_end:
      'The SSO sessions of this subject, at the authorization server. A user who logs in again within the same SSO session keeps its auth_time and stays out, until that session is ended there or this entry is undone. Where tokens carry no time of login, end its SSO sessions and refresh tokens at once: the tokens that they bring are issued later, and pass.',
  },
  client: {
    ends: 'Every token of this client, and every token through it (act), that was issued (iat) up to issued_before. Later ones pass.',
    also_end: CUTOFF_NEEDS,
  },
  claim: {
    ends: 'Every token whose claim is this value, or has it as an element, and that was issued (iat) up to issued_before. Later ones pass.',
    also_end: CUTOFF_NEEDS,
  },
};

export function effectOf(kind: TargetKind): Effect {
  return EFFECTS[kind];
}
