/** The story of the demo, played and checked: `npm run demo -- --script`. */
import { CLIENT, OPAQUE_RESOURCE } from './issuer.ts';

/** Where the parts of the demo are, in this process or elsewhere. */
export interface StoryParts {
  readonly issuer: { readonly url: string };
  readonly factory: { readonly url: string; readonly served: () => number | Promise<number> };
  readonly gateway: string;
  readonly admin: string;
  readonly adminToken: string;
  /** What the gateway has logged so far, where that is at hand. */
  readonly log?: () => string;
}

/** A response that a step of the script expects. */
interface Expected {
  readonly title: string;
  readonly status: number;
  readonly check?: (response: { readonly headers: Headers; readonly body: string }) => boolean;
}

/** Prints the transcript and counts the steps that failed. */
class Transcript {
  failures = 0;

  async step(expected: Expected, request: Promise<Response>): Promise<void> {
    const response = await request;
    const { status, headers } = response;
    const body = await response.text();
    this.line(status === expected.status && (expected.check?.({ headers, body }) ?? true), expected.title);
    process.stdout.write(`       ${status} ${body.trim()}\n`);
  }

  line(ok: boolean, title: string): void {
    if (!ok) this.failures++;
    process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${title}\n`);
  }
}

/** Resolves to the exit code: 0, or 1 if a step failed. */
export async function playScript(servers: StoryParts): Promise<number> {
  const transcript = new Transcript();
  const servedBefore = await servers.factory.served();
  const token = await playLogin(servers, transcript);
  await playReason(servers, transcript, token);
  await playRevocation(servers, transcript, token);
  await playOpaqueTokens(servers, transcript);
  const served = (await servers.factory.served()) - servedBefore;
  transcript.line(served === 4, `the factory saw ${served} requests: the 4 that were permitted`);
  const { failures } = transcript;
  process.stdout.write(
    failures === 0
      ? '\nthe story went as expected\n'
      : `\n${failures} ${failures === 1 ? 'step was' : 'steps were'} not as expected\n`,
  );
  return failures === 0 ? 0 : 1;
}

/** No token, a token, and too little scope. Returns the token. */
async function playLogin(servers: StoryParts, transcript: Transcript): Promise<string> {
  await transcript.step(
    {
      title: 'no token: 401 with the realm',
      status: 401,
      check: ({ headers }) =>
        headers.get('www-authenticate') === 'Bearer realm="cookie factory", scope="cookies:read"',
    },
    get(servers, '/cookies'),
  );
  const token = await login(servers, 'cookies:read');
  await transcript.step(
    { title: 'a token: cookies', status: 200, check: tellsFactory(CLIENT.id) },
    get(servers, '/cookies', token),
  );
  await transcript.step(
    { title: 'too little scope: 403', status: 403, check: challengesWith('insufficient_scope') },
    get(servers, '/oven', token),
  );
  return token;
}

/** Why the oven refused: what `sallyport explain` says, and the line in the log. */
async function playReason(servers: StoryParts, transcript: Transcript, token: string): Promise<void> {
  const { admin, adminToken, gateway, log } = servers;
  const response = await fetch(`${admin}/v1/explain`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ method: 'GET', url: `${gateway}/oven`, token }),
  });
  const { reason, stages } = (await response.json()) as Explained;
  transcript.line(reason === 'insufficient_scope', 'explain says why: the scope');
  for (const { stage, outcome, detail } of stages ?? [])
    if (outcome !== 'not_reached') process.stdout.write(`       ${outcome} ${stage}: ${detail}\n`);
  if (!log) return;
  const line = log()
    .split('\n')
    .find((each) => each.includes('"route":"oven"'));
  const isTold = line?.includes('"reason":"insufficient_scope"') === true && !line.includes(token);
  transcript.line(isTold, 'the log says why, without the token');
  process.stdout.write(`       ${line}\n`);
}

/** What of an explanation the script looks at. */
interface Explained {
  readonly reason: string | null;
  readonly stages?: readonly { readonly stage: string; readonly outcome: string; readonly detail: string }[];
}

/** The token is revoked and refused at once; the next login works. */
async function playRevocation(servers: StoryParts, transcript: Transcript, token: string): Promise<void> {
  await transcript.step(
    { title: 'the token is revoked through the admin API: 201', status: 201 },
    fetch(`${servers.admin}/v1/revocations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${servers.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ token, reason: 'leaked' }),
    }),
  );
  const sinceMs = performance.now();
  await transcript.step(
    { title: 'the revoked token: 401', status: 401, check: challengesWith('invalid_token') },
    get(servers, '/cookies', token),
  );
  const tookMs = performance.now() - sinceMs;
  process.stdout.write(`       refused ${tookMs.toFixed(1)} ms after the response of the admin API\n`);
  await transcript.step(
    { title: 'a new login works again', status: 200, check: tellsFactory(CLIENT.id) },
    get(servers, '/cookies', await login(servers, 'cookies:read')),
  );
}

/** Opaque tokens: the factory's own, one that no issuer knows, and one of the authorization server. */
async function playOpaqueTokens(servers: StoryParts, transcript: Transcript): Promise<void> {
  const issued = await fetch(`${servers.factory.url}/issue`, { method: 'POST' });
  const { token } = (await issued.json()) as { token: string };
  await transcript.step(
    { title: "a plain opaque token of the factory's own", status: 200, check: tellsFactory('night-shift') },
    get(servers, '/cookies', token),
  );
  await transcript.step(
    { title: 'an opaque token that no issuer knows: 401', status: 401 },
    get(servers, '/cookies', 'made-up'),
  );
  const introspected = await login(servers, 'cookies:read', { resource: OPAQUE_RESOURCE });
  await transcript.step(
    {
      title: 'an opaque token of the authorization server, introspected',
      status: 200,
      check: ({ body }) => body.includes(`"x-client-id":"${CLIENT.id}"`),
    },
    get(servers, '/jars', introspected),
  );
}

function get({ gateway }: StoryParts, path: string, token?: string): Promise<Response> {
  return fetch(`${gateway}${path}`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
}

const tellsFactory =
  (subject: string) =>
  ({ body }: { readonly body: string }): boolean =>
    body.includes(`"x-user-id":"${subject}"`);

const challengesWith =
  (error: string) =>
  ({ headers }: { readonly headers: Headers }): boolean =>
    headers.get('www-authenticate')?.includes(error) === true;

async function login(
  { issuer }: StoryParts,
  scope: string,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const response = await fetch(`${issuer.url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope, ...more }),
  });
  const { access_token: token } = (await response.json()) as { access_token?: string };
  if (token === undefined)
    throw new Error(`the authorization server responded with ${response.status} and no token`);
  return token;
}
