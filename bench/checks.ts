/**
 * What each contestant must do before it is timed: pass a good token on with exactly one call, and refuse bad ones without a call. A
 * proxy that checks less is faster, and no race.
 */
import { statusOf, type Arena, type Call, type Running } from './arena.ts';
import type { Defect } from './contestants/contestant.ts';
import { badlySigned, createToken, encoded } from './credentials.ts';
import { KINDS, type KindName } from './kinds.ts';
import type { Wallet } from './wallet.ts';

const OTHER = 'https://other.example.com';
const LONG_AGO_SECONDS = 7_200;

const BAD: Readonly<Record<Defect, (wallet: Wallet) => string | undefined>> = {
  'bad signature': ({ token }) => badlySigned(token),
  'wrong audience': ({ credentials }) => createToken(credentials, { aud: OTHER }),
  'wrong issuer': ({ credentials }) => createToken(credentials, { iss: OTHER }),
  expired: ({ credentials }) => {
    const exp = Math.floor(Date.now() / 1000) - LONG_AGO_SECONDS;
    return createToken(credentials, { exp, iat: exp - LONG_AGO_SECONDS });
  },
  'alg none': ({ token }) => `${encoded({ alg: 'none', typ: 'at+jwt' })}.${token.split('.')[1]}.`,
  'no token': () => undefined,
};

/** @throws Error that says which check has failed */
export async function check(arena: Arena, running: Running, kind: KindName, wallet: Wallet): Promise<void> {
  const { name, blindTo } = running.contestant;
  // It is the floor of a refusal, and refuses everything.
  if (blindTo === undefined && KINDS[kind].status !== 200) return;
  // None of those that are sent later: it is known afterwards.
  const good = await outcomeOf(arena, running, createToken(wallet.credentials));
  if (good.status !== 200 || good.calls.length !== 1)
    throw new Error(`${name}, ${kind}: a good token must pass with one upstream call; ${textOf(good)}`);
  if (blindTo === undefined) return;
  const [call] = good.calls;
  if (call?.user !== 'user-4711' || call.scopes !== 'orders:read orders:write' || call.authorization !== '')
    throw new Error(
      `${name}, ${kind}: the upstream must see subject and scopes, and no token: ${JSON.stringify(call)}`,
    );
  for (const [defect, tokenOf] of Object.entries(BAD) as [Defect, (typeof BAD)[Defect]][]) {
    if (blindTo.includes(defect)) continue;
    const refused = await outcomeOf(arena, running, tokenOf(wallet));
    if (refused.status < 400 || refused.status > 403 || refused.calls.length > 0)
      throw new Error(
        `${name}, ${kind}: ${defect} must be refused without an upstream call; ${textOf(refused)}`,
      );
  }
}

interface Outcome {
  readonly status: number;
  readonly calls: readonly Call[];
}

async function outcomeOf(arena: Arena, { port }: Running, token: string | undefined): Promise<Outcome> {
  const path = arena.countedPath();
  const status = await statusOf(port, path, token === undefined ? {} : { Authorization: `Bearer ${token}` });
  return { status, calls: await arena.callsFor(path) };
}

const textOf = ({ status, calls }: Outcome): string =>
  `the response was ${status}, with ${calls.length} upstream calls`;
