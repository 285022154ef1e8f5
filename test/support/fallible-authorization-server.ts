/** An authorization server that fails as the test sets it: it judges opaque tokens, by RFC 7662 or as a validation service. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Test } from 'tap';
import { startServer } from './upstream.ts';

/** Its response for one token: the claims of an active one, a status, or what the function sends. */
export type Behaviour = Record<string, unknown> | number | ((response: ServerResponse) => void);

export interface FallibleServer {
  readonly url: string;
  /** The tokens of the requests, in order. */
  readonly asked: string[];
  /** The requests, in order. */
  readonly requests: IncomingMessage[];
  /** How many requests wait for a response. */
  readonly open: () => number;
  readonly tokens: Map<string, Behaviour>;
  /** For all other tokens. */
  otherwise: Behaviour;
}

export async function startFallibleServer(t: Test): Promise<FallibleServer> {
  let open = 0;
  const url = await startServer(t, (request, response) => {
    open++;
    response.on('close', () => open--);
    let body = '';
    request.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const token = new URLSearchParams(body).get('token') ?? '';
      authority.asked.push(token);
      authority.requests.push(request);
      respond(response, authority.tokens.get(token) ?? authority.otherwise);
    });
  });
  const authority: FallibleServer = {
    url,
    asked: [],
    requests: [],
    open: () => open,
    tokens: new Map(),
    otherwise: { active: false },
  };
  return authority;
}

function respond(response: ServerResponse, behaviour: Behaviour): void {
  if (typeof behaviour === 'function') behaviour(response);
  else if (typeof behaviour === 'number') response.writeHead(behaviour).end();
  else json(response, 200, behaviour);
}

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** Configuration of an issuer that introspects at this server. */
export const introspectedBy = (
  { url }: FallibleServer,
  changes: Record<string, unknown> = {},
  issuer: Record<string, unknown> = {},
): Record<string, unknown> => ({
  introspection: { url, client_id: 'gateway', client_secret: 'secret', timeout: '60s', ...changes },
  ...issuer,
});

/** Configuration of an issuer with this server as its validation service; its status and `active` decide. */
export const validatedBy = (
  { url }: FallibleServer,
  changes: Record<string, unknown> = {},
  issuer: Record<string, unknown> = {},
): Record<string, unknown> => ({
  validation: { url, send: { in: 'form' }, active: '/active', claims: '', timeout: '60s', ...changes },
  ...issuer,
});
